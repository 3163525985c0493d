import assert from 'node:assert/strict'
import test from 'node:test'
import pg from 'pg'
import { onCleanup } from '../support/cleanup.ts'
import { checkedBody, databaseOfFile, file, insert, projectUrl } from './host.ts'

/**
 * The host's tables are the host's: what its later migrations do to them. Every change is checked in a session
 * whose plans were cached before it, and in a new one. The changes add up: each test goes on where the last ended.
 */
const db = await databaseOfFile()
await db.query(`alter table tasks add column notes text default 'n', add column priority integer default 1;
  alter table tickets add column notes text; alter table projects add column notes text; alter table agents add column notes text`)
const project = await insert(db, 'projects', { name: 'p', webhook_url: projectUrl })
const ticket = await insert(db, 'tickets', { title: 't', project_id: project, webhook_url: '' })
const agent = await insert(db, 'agents', { agent_type: 'a', last_heartbeat: '2026-01-01T00:00:00Z' })
const task = await insert(db, 'tasks', {
  title: 't',
  ticket_id: ticket,
  assigned_agent_id: agent,
  started_at: '2026-01-01T00:00:00Z',
  completed_at: '2026-01-01T00:00:45Z',
  result: '{"result": "done", "output_summary": "all of it"}',
  error_message: 'none',
  retry_count: 1,
})

const longLived = new pg.Client({ connectionString: db.url })
await longLived.connect()
onCleanup(file, () => longLived.end())

/** What the host calls them by now. */
const names: Record<string, string> = {}
const name = (table: string, column?: string) =>
  column === undefined ? (names[table] ?? table) : (names[`${table}.${column}`] ?? column)

/** Completes, fails and runs the task, opens an episode and gives a heartbeat, and checks what was captured. */
async function capturesAsBefore(session: pg.Client): Promise<void> {
  await session.query('delete from webhook_outbox')
  const setStatus = (status: string) =>
    session.query(
      `update ${name('tasks')} set "${name('tasks', 'status')}" = $1 where "${name('tasks', 'id')}" = $2`,
      [status, task],
    )
  for (const status of ['completed', 'failed', 'running']) assert.equal((await setStatus(status)).rowCount, 1)
  await session.query('insert into agent_stuck_episodes (agent_id, reason) values ($1, $2)', [
    agent,
    'no_heartbeat',
  ])
  await session.query(
    `update ${name('agents')} set "${name('agents', 'last_heartbeat')}" = now() where "${name('agents', 'id')}" = $1`,
    [agent],
  )
  const { rows } = await session.query<{ url: string; payload: string }>(
    'select url, payload::text from webhook_outbox order by id',
  )
  assert.deepEqual(
    rows.map((row) => row.url),
    Array(3).fill(projectUrl),
  )
  const bodies = rows.map((row) => checkedBody(row.payload))
  for (const body of bodies) {
    assert.deepEqual(
      [body.project_id, body.ticket_id, body.task_id, body.agent_id, body.entity_id],
      [project, ticket, task, agent, body.event_type === 'agent.stuck' ? agent : task],
    )
  }
  const [completed, failed, stuck] = bodies.map((body) => body.data)
  assert.deepEqual(completed, { result: 'done', duration_seconds: 45, output_summary: 'all of it' })
  assert.deepEqual(failed, { error: 'none', retry_count: 1, max_retries: 3 })
  assert.equal(stuck!['stuck_reason'], 'no_heartbeat')
  assert.match(String(stuck!['last_heartbeat']), /^20\d\d-/)
  const open = await session.query('select from agent_stuck_episodes where ended_at is null')
  assert.equal(open.rowCount, 0, 'the heartbeat ended the episode')
}

async function goesOn(): Promise<void> {
  await capturesAsBefore(longLived)
  const fresh = new pg.Client({ connectionString: db.url })
  await fresh.connect()
  try {
    await capturesAsBefore(fresh)
  } finally {
    await fresh.end()
  }
}

test('a session caches its plans, generic ones too, before anything changes', async () => {
  for (let i = 0; i < 7; i++) await capturesAsBefore(longLived)
  await goesOn()
})

const read: Record<string, string[]> = {
  projects: ['id', 'webhook_url'],
  tickets: ['id', 'project_id', 'webhook_url'],
  tasks: [
    ...[
      'id',
      'ticket_id',
      'status',
      'assigned_agent_id',
      'result',
      'error_message',
      'retry_count',
      'max_retries',
    ],
    ...['started_at', 'completed_at'],
  ],
  agents: ['id', 'last_heartbeat'],
}

for (const [table, columns] of Object.entries(read)) {
  for (const column of columns) {
    test(`dropping ${table}.${column} is refused, naming what reads it`, async () => {
      await assert.rejects(
        db.query(`alter table ${table} drop column ${column}`),
        (error: pg.DatabaseError) => {
          assert.equal(error.code, '2BP01')
          assert.match(error.detail ?? '', /(function|trigger) webhook_/)
          return true
        },
      )
    })
  }
  test(`dropping ${table} is refused, naming what reads it`, async () => {
    await assert.rejects(db.query(`drop table ${table}`), (error: pg.DatabaseError) => {
      assert.equal(error.code, '2BP01')
      assert.match(error.detail ?? '', /function webhook_/)
      return true
    })
  })
}

test('changing the type of a column that capture reads is refused, naming what reads it', async () => {
  for (const [table, column] of [
    ['tasks', 'status'],
    ['tickets', 'webhook_url'],
  ]) {
    await assert.rejects(
      db.query(`alter table ${table} alter column ${column} type varchar(4000)`),
      (error: pg.DatabaseError) => {
        assert.equal(error.code, '0A000')
        assert.match(error.detail ?? '', /(function|trigger) webhook_/)
        return true
      },
    )
  }
  await goesOn()
})

const unrelated = [
  'alter table tasks add column extra jsonb',
  `alter table tasks add column extra_default text not null default gen_random_uuid()::text`,
  'alter table tasks drop column notes',
  'alter table tickets drop column notes',
  'alter table projects drop column notes',
  'alter table agents drop column notes',
  'alter table tasks alter column priority type bigint',
  'alter table tasks alter column priority type text using priority::text',
  'alter table tasks alter column title type varchar(300)',
  'alter table tasks drop column title',
  'alter table tickets alter column title type varchar(300)',
  'alter table agents drop column agent_type',
  'create index tasks_status_idx on tasks (status)',
  'alter table tickets drop constraint tickets_pkey',
  'alter table tasks add constraint known check (status is not null)',
  'alter table tasks set unlogged',
  'cluster tasks using tasks_status_idx',
  'alter table tasks add column computed integer generated always as (retry_count + 1) stored',
  'create view open_tasks as select * from tasks',
  'create table newer_tasks (like tasks including all)',
]

for (const ddl of unrelated) {
  test(`after "${ddl}" capture goes on`, async () => {
    await db.query(ddl)
    await goesOn()
  })
}

for (const [table, columns] of Object.entries(read)) {
  for (const column of columns) {
    test(`after ${table}.${column} was renamed capture goes on`, async () => {
      names[`${table}.${column}`] = `Renamed ${column}`
      await db.query(`alter table ${table} rename column ${column} to "Renamed ${column}"`)
      await goesOn()
    })
  }
}

for (const table of Object.keys(read)) {
  test(`after ${table} was renamed capture goes on`, async () => {
    await db.query(`alter table ${table} rename to old_${table}`)
    names[table] = `old_${table}`
    // Another table under the old name is no business of capture's.
    await db.query(`create table ${table} (id text, something text)`)
    await goesOn()
  })
}

test('after the tables were moved to another schema capture goes on', async () => {
  await db.query('create schema elsewhere')
  for (const table of Object.keys(read)) {
    await db.query(`alter table ${name(table)} set schema elsewhere`)
    names[table] = `elsewhere.${name(table)}`
  }
  await goesOn()
})
