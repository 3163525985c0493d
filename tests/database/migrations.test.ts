import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { type Kysely, sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import { connect } from '../../src/database/connection.ts'
import { createMigrator, migrateToLatest, pendingMigrations } from '../../src/database/migrate.ts'
import type { Database } from '../../src/database/tables.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { richHost } from './host-schema.ts'
import { rowChecksums, schemaSnapshot } from './schema-snapshot.ts'

async function databaseOf(
  t: TestContext,
  ddl?: string,
): Promise<{ db: TestDatabase; kysely: Kysely<Database> }> {
  const db = await createTestDatabase({ migrated: false })
  onCleanup(t, () => db.drop())
  if (ddl !== undefined) await db.query(ddl)
  const kysely = connect(db.url, { maxConnections: 1 })
  onCleanup(t, () => kysely.destroy())
  return { db, kysely }
}

async function up(kysely: Kysely<Database>): Promise<void> {
  const { error } = await createMigrator(kysely).migrateToLatest()
  if (error !== undefined) throw error as Error
}

/** One step at a time, to nothing; returns the names of the steps. */
async function down(kysely: Kysely<Database>): Promise<string[]> {
  const steps: string[] = []
  for (;;) {
    const { error, results } = await createMigrator(kysely).migrateDown()
    if (error !== undefined) throw error as Error
    if (!results?.length) return steps
    steps.push(...results.map((result) => result.migrationName))
  }
}

const relations = (db: TestDatabase) =>
  db.query(`select relname from pg_class where relnamespace = 'public'::regnamespace order by 1`)

/** Rows by the columns that were there before: a migration that is on adds its own. */
async function untouched(db: TestDatabase, columns: Record<string, string>): Promise<unknown> {
  const rows: Record<string, unknown> = {}
  for (const [table, list] of Object.entries(columns)) {
    rows[table] = await db.query(`select ${list} from ${table} order by id`)
  }
  return rows
}

test('on an empty database up makes everything, each step down takes its part, and nothing is left', async (t) => {
  const { db, kysely } = await databaseOf(t)
  const before = await schemaSnapshot(db)
  await up(kysely)
  assert.deepEqual(await pendingMigrations(kysely), [])
  const made = await schemaSnapshot(db)

  const steps = await down(kysely)
  assert.deepEqual(steps, steps.toSorted().toReversed())
  assert.deepEqual(await schemaSnapshot(db), before)
  assert.deepEqual(await relations(db), [])

  await up(kysely)
  assert.deepEqual(await schemaSnapshot(db), made)
  await down(kysely)
  assert.deepEqual(await schemaSnapshot(db), before)
})

test('one step down and up again is the same schema, at every step', async (t) => {
  const { db, kysely } = await databaseOf(t)
  const migrator = createMigrator(kysely)
  const seen: string[][] = [await schemaSnapshot(db)]
  const names = await pendingMigrations(kysely)
  while (seen.length <= names.length) {
    assert.equal((await migrator.migrateUp()).error, undefined)
    seen.push(await schemaSnapshot(db))
  }
  for (let step = names.length; step > 0; step--) {
    assert.equal((await migrator.migrateDown()).error, undefined)
    assert.deepEqual(await schemaSnapshot(db), seen[step - 1], `down of ${names[step - 1]}`)
    assert.equal((await migrator.migrateUp()).error, undefined)
    assert.deepEqual(await schemaSnapshot(db), seen[step], `up again of ${names[step - 1]}`)
    assert.equal((await migrator.migrateDown()).error, undefined)
  }
})

test('a host’s database is extended, its rows untouched, and after down it is as it was', async (t) => {
  const { db, kysely } = await databaseOf(t, richHost)
  const columns = {
    projects: 'id, name, "Owner Id", status, created_at, budget, updated_at',
    tickets: 'id, project_id, title, "Mixed Case", status, search',
    tasks:
      'id, ticket_id, title, status, "select", result, started_at, completed_at, created_at, retry_count',
    agents: 'id, status, "LastSeen", tags',
    audit: '*',
  }
  const [schema, sums, rows] = [
    await schemaSnapshot(db),
    await rowChecksums(db),
    await untouched(db, columns),
  ]

  await up(kysely)
  assert.deepEqual(await untouched(db, columns), rows)
  const now = new Set(await schemaSnapshot(db))
  // What the host had is there as it was: its columns, comments, indexes, triggers, constraints, grants.
  const catalogLines = schema.filter((line) =>
    /^(column|constraint|index|trigger|function|type|view|policy|relation) /.test(line),
  )
  assert.deepEqual(
    catalogLines.filter((line) => !now.has(line)),
    [],
  )
  await db.query(
    `update tasks set status = 'completed', completed_at = '2024-02-29 12:01:00' where id = 't1'`,
  )
  await db.query(`update tasks set status = 'running', completed_at = null where id = 't1'`)
  await db.query('delete from audit')

  await down(kysely)
  assert.deepEqual(await schemaSnapshot(db), schema)
  assert.deepEqual(await rowChecksums(db), sums)
})

test('a host with rich tables is captured from', async (t) => {
  const { db, kysely } = await databaseOf(t, richHost)
  await up(kysely)
  await db.query(`update projects set webhook_url = 'http://host.example/' where id = 'p1'`)
  await db.query(
    `update tasks set status = 'completed', completed_at = '2024-02-29 12:01:00' where id in ('t1', 't2')`,
  )
  const events = await db.query<{ url: string; payload: string }>('select url, payload from webhook_outbox')
  assert.deepEqual(
    events.map((event) => [event.url, (JSON.parse(event.payload) as { data: unknown }).data]),
    [['http://host.example/', { result: 'success', duration_seconds: 59, output_summary: null }]],
  )
})

test('webhook_adoption records each table and column that was created, and no other', async (t) => {
  const { db, kysely } = await databaseOf(
    t,
    `create table tasks (id text primary key, title text, status text, started_at timestamptz);
     create table agents (id text primary key, agent_type text, status text, last_heartbeat timestamptz, created_at timestamptz,
       updated_at timestamptz)`,
  )
  await up(kysely)
  const adopted = await db.query<{ table_name: string; column_name: string | null }>(
    `select table_name, column_name from webhook_adoption where table_schema = 'public'`,
  )
  assert.deepEqual(
    adopted.map((row) => [row.table_name, row.column_name].filter(Boolean).join('.')).toSorted(),
    [
      'projects',
      ...[
        ...['assigned_agent_id', 'completed_at', 'created_at', 'error_message', 'max_retries', 'result'],
        ...['retry_count', 'ticket_id', 'updated_at'],
      ].map((column) => `tasks.${column}`),
      'tickets',
    ],
  )
  const all = await db.query('select from webhook_adoption')
  assert.equal(all.length, adopted.length)
})

test('a table that was created needs only id, title, name and status to insert', async (t) => {
  const { db, kysely } = await databaseOf(t)
  await up(kysely)
  await db.query(`
    insert into projects (id, name, status) values ('p', 'n', 's');
    insert into tickets (id, title, status) values ('k', 't', 's');
    insert into tasks (id, title, status) values ('t', 't', 's');
    insert into agents (id, status) values ('a', 's')`)
  await db.query(`
    insert into projects (name) values ('n'); insert into tickets (title) values ('t');
    insert into tasks (title) values ('t'); insert into agents default values`)
  const [row] = await db.query<{ id: string }>(`select * from tasks where status = 'pending'`)
  assert.match(row!.id, /^[0-9a-f-]{36}$/)
})

test('old rows of a host get no made-up times or statuses; rows inserted later get defaults', async (t) => {
  const { db, kysely } = await databaseOf(
    t,
    `create table tasks (id text primary key); insert into tasks values ('old')`,
  )
  await up(kysely)
  await db.query(`insert into tasks (id) values ('new')`)
  const rows = await db.query(
    `select id, status, retry_count, max_retries, created_at is null as undated, updated_at is null as untouched
     from tasks order by id desc`,
  )
  assert.deepEqual(rows, [
    { id: 'old', status: null, retry_count: 0, max_retries: 3, undated: true, untouched: true },
    { id: 'new', status: 'pending', retry_count: 0, max_retries: 3, undated: false, untouched: false },
  ])
})

test('every table, view and column of the service has a comment', async (t) => {
  const { db, kysely } = await databaseOf(t, `create table tasks (id text primary key)`)
  await up(kysely)
  // A daily partition says what it is by its name and its parent.
  const silent = await db.query(`
    with relations as (
      select c.oid, c.relname, c.relispartition from pg_class c
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v')
        and c.relname not in ('projects', 'tickets', 'tasks', 'agents', 'webhook_migration', 'webhook_migration_lock'))
    select relname as name from relations where obj_description(oid, 'pg_class') is null and relname !~ '_[0-9]{8}$'
    union all
    select relname || '.' || attname from relations join pg_attribute a on a.attrelid = oid
    where attnum > 0 and not attisdropped and not relispartition and col_description(oid, attnum) is null`)
  assert.deepEqual(silent, [])
})

test('functions have comments too', async (t) => {
  const { db, kysely } = await databaseOf(t)
  await up(kysely)
  const silent = await db.query(
    `select proname from pg_proc where pronamespace = 'public'::regnamespace and obj_description(oid, 'pg_proc') is null`,
  )
  assert.deepEqual(silent, [])
})

test('the service goes into the first schema of the search_path, and finds the host’s tables behind it', async (t) => {
  const { db } = await databaseOf(t, `${richHost}; create schema hooks`)
  const name = new URL(db.url).pathname.slice(1)
  const before = await schemaSnapshot(db)
  await db.query(`alter database ${name} set search_path to hooks, public`)
  const kysely = connect(db.url, { maxConnections: 1 })
  onCleanup(t, () => kysely.destroy())
  await up(kysely)
  const places = await db.query(
    `select distinct relnamespace::regnamespace::text as schema from pg_class where relname ~ '^(webhook|agent_stuck)' and relkind in ('r', 'p', 'v')`,
  )
  assert.deepEqual(places, [{ schema: 'hooks' }])
  await db.query(`update public.tickets set webhook_url = 'http://host.example/'`)
  await db.query(`update public.tasks set status = 'failed'`)
  assert.equal((await db.query('select from hooks.webhook_outbox')).length, 2)
  await down(kysely)
  await db.query(`alter database ${name} reset search_path`)
  assert.deepEqual(await schemaSnapshot(db), before)
})

test('a host’s own Kysely migrations are left alone, up and down', async (t) => {
  const { db, kysely } = await databaseOf(t)
  const hosts = new Migrator({
    db: kysely,
    provider: {
      getMigrations: () =>
        Promise.resolve({
          '2020_host': { up: (trx) => sql`create table tasks (id text primary key)`.execute(trx).then() },
        }),
    },
  })
  assert.equal((await hosts.migrateToLatest()).error, undefined)
  const [schema, sums] = [await schemaSnapshot(db), await rowChecksums(db)]
  await up(kysely)
  const { kysely_migration, kysely_migration_lock } = await rowChecksums(db)
  assert.deepEqual(
    [kysely_migration, kysely_migration_lock],
    [sums['kysely_migration'], sums['kysely_migration_lock']],
  )
  await down(kysely)
  assert.deepEqual(await schemaSnapshot(db), schema)
  assert.deepEqual(await rowChecksums(db), sums)
})

test('migrating twice at once is migrating once', async (t) => {
  const { db, kysely } = await databaseOf(t)
  await Promise.all([migrateToLatest(db.url), migrateToLatest(db.url), migrateToLatest(db.url)])
  assert.deepEqual(await pendingMigrations(kysely), [])
})

test('down after the host renamed its tables still takes the triggers away', async (t) => {
  const { db, kysely } = await databaseOf(
    t,
    `create table tasks (id text primary key); create table agents (id text primary key); create table tickets (id text);
     create table projects (id text)`,
  )
  await up(kysely)
  await db.query('alter table tasks rename to jobs; alter table agents rename to workers')
  await down(kysely)
  assert.deepEqual(await db.query(`select tgname from pg_trigger where not tgisinternal`), [])
  assert.deepEqual(
    await db.query(`select proname from pg_proc where pronamespace = 'public'::regnamespace`),
    [],
  )
})
