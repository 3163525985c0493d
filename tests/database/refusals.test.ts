import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import pg from 'pg'
import { migrateToLatest } from '../../src/database/migrate.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase, databaseUrlWith } from '../support/database.ts'
import { rowChecksums, schemaSnapshot } from './schema-snapshot.ts'

const db = await createTestDatabase({ migrated: false })
onCleanup({ after: (run: () => Promise<void>) => after(run) }, () => db.drop())

/** @returns the message of a migration that was refused, after checking that it changed nothing */
async function refusal(ddl: string): Promise<string> {
  await db.query(
    'drop schema public cascade; create schema public; drop extension if exists postgres_fdw cascade',
  )
  await db.query(ddl)
  const [schema, sums] = [await schemaSnapshot(db), await rowChecksums(db)]
  let message = ''
  await assert.rejects(migrateToLatest(db.url), (error: Error) => {
    message = error.message
    return true
  })
  assert.deepEqual(await schemaSnapshot(db), schema)
  assert.deepEqual(await rowChecksums(db), sums)
  assert.match(message, /^webhook-outbox cannot be added to this database, and has changed nothing: /)
  return message.slice(message.indexOf(': ') + 2)
}

const text = 'text or varchar'
const columns: [ddl: string, message: string][] = [
  ['create table tasks (id integer)', `public.tasks.id is integer, and must be ${text}`],
  ['create table tasks (id uuid primary key)', `public.tasks.id is uuid, and must be ${text}`],
  ['create table projects (id bigserial)', `public.projects.id is bigint, and must be ${text}`],
  ['create table tasks (title text)', 'public.tasks has no column "id", and must have one: text'],
  ['create table tasks (id text, result json)', 'public.tasks.result is json, and must be jsonb'],
  ['create table tasks (id text, result text)', 'public.tasks.result is text, and must be jsonb'],
  [
    'create table tasks (id text, status integer)',
    `public.tasks.status is integer, and must be text, varchar or an enum`,
  ],
  [
    'create table tasks (id text, status boolean)',
    `public.tasks.status is boolean, and must be text, varchar or an enum`,
  ],
  [
    'create table tasks (id text, status text[])',
    `public.tasks.status is text[], and must be text, varchar or an enum`,
  ],
  [
    'create table tasks (id text, retry_count numeric(5,2))',
    'public.tasks.retry_count is numeric(5,2), and must be integer',
  ],
  ['create table tasks (id text, max_retries text)', 'public.tasks.max_retries is text, and must be integer'],
  [
    'create table tasks (id text, started_at bigint)',
    'public.tasks.started_at is bigint, and must be timestamptz',
  ],
  [
    'create table tasks (id text, completed_at date)',
    'public.tasks.completed_at is date, and must be timestamptz',
  ],
  [
    'create table tasks (id text, created_at text)',
    'public.tasks.created_at is text, and must be timestamptz',
  ],
  [
    'create table tasks (id text, error_message jsonb)',
    `public.tasks.error_message is jsonb, and must be ${text}`,
  ],
  ['create table tasks (id text, ticket_id bigint)', `public.tasks.ticket_id is bigint, and must be ${text}`],
  [
    'create table agents (id text, last_heartbeat timestamp)',
    'public.agents.last_heartbeat is timestamp without time zone, and must be timestamptz',
  ],
  [
    'create table tickets (id text, webhook_url integer)',
    `public.tickets.webhook_url is integer, and must be ${text}`,
  ],
  [
    'create table projects (id text, webhook_url bytea)',
    `public.projects.webhook_url is bytea, and must be ${text}`,
  ],
  [
    'create domain key as integer; create table tickets (id text, project_id key)',
    `public.tickets.project_id is key, and must be ${text}`,
  ],
  [
    'create table tasks (id text, started_at timestamptz, completed_at timestamp)',
    'public.tasks.started_at (timestamp with time zone) and completed_at (timestamp without time zone) must be of one type',
  ],
  [
    'create table tasks (id text); create table tasks_more () inherits (tasks)',
    'public.tasks has tables that inherit from it (their rows fire no trigger of it), and must have none, or be partitioned',
  ],
]

for (const [ddl, message] of columns) {
  test(`"${ddl}" is refused: ${message}`, async () => {
    assert.equal(await refusal(ddl), message)
  })
}

const others = [
  'create view tasks as select 1 as id',
  'create materialized view tasks as select 1 as id',
  'create sequence tasks',
  'create extension if not exists postgres_fdw; create server s foreign data wrapper postgres_fdw; create foreign table tasks (id text) server s',
]

for (const ddl of others) {
  test(`"${ddl}" in the place of a table is refused`, async () => {
    assert.match(
      await refusal(ddl),
      /^public\.tasks is not a table .*, and must be one, or be absent, so that webhook-outbox can create its own$/,
    )
  })
}

test('all that cannot serve is named at once, over all tables', async () => {
  const message = await refusal(
    `create view projects as select 1 as id;
     create table tickets (id integer, webhook_url integer);
     create table tasks (id text, result json, status integer);
     create table agents (last_heartbeat timestamp)`,
  )
  assert.deepEqual(
    message.split('; ').map((part) => part.split(/ (?:is|has) /)[0]),
    [
      ...['public.projects', 'public.tickets.id', 'public.tickets.webhook_url', 'public.tasks.status'],
      ...['public.tasks.result', 'public.agents', 'public.agents.last_heartbeat'],
    ],
  )
})

test('a search_path that names no schema is refused, and says so', async () => {
  await db.query(`alter database ${new URL(db.url).pathname.slice(1)} set search_path to nowhere`)
  await assert.rejects(migrateToLatest(db.url), /no schema/)
})

test('a database whose encoding is not UTF8 is refused by name', async (t) => {
  const name = `outbox_latin_${process.pid}`
  const server = new pg.Client({ connectionString: db.url })
  await server.connect()
  onCleanup(t, () => server.end())
  await server.query(
    `create database ${name} template template0 encoding 'LATIN1' locale_provider libc locale 'C'`,
  )
  onCleanup(t, () => server.query(`drop database ${name} with (force)`))
  await assert.rejects(migrateToLatest(databaseUrlWith(db.url, { database: name })), {
    message: /the encoding of the database is LATIN1, and must be UTF8/,
  })
})

test('a table whose row-level security holds for the migrating role too is refused by name', async (t) => {
  const own = await createTestDatabase({ migrated: false })
  onCleanup(t, () => own.drop())
  const role = `outbox_owner_${process.pid}`
  await own.query(`create role ${role} login password 'secret'`)
  onCleanup(t, () => own.query(`drop owned by ${role}; drop role ${role}`))
  await own.query(`grant usage, create on schema public to ${role}`)
  await own.query(`create table tickets (id text primary key); alter table tickets owner to ${role};
    alter table tickets enable row level security; alter table tickets force row level security`)
  await assert.rejects(migrateToLatest(databaseUrlWith(own.url, { user: role, password: 'secret' })), {
    message: /public\.tickets has row-level security that holds for this role too/,
  })
})
