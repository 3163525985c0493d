import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after } from 'node:test'
import type pg from 'pg'
import { webhookEvent, type WebhookEvent } from '../../src/events.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

/** What the tests of capture do as a host: rows of its tables, its sessions, and a look at what was captured. */
export const ticketUrl = 'http://ticket.example/hook'
export const projectUrl = 'http://project.example/hook'

/** Any connection of a test database, or one session of it. */
export type Querying = TestDatabase | pg.ClientBase

const client = (db: Querying): pg.Pool | pg.ClientBase => ('pool' in db ? db.pool : db)

export interface CapturedRow {
  event_id: string
  event_type: string
  entity_type: string
  entity_id: string
  project_id: string | null
  ticket_id: string | null
  task_id: string | null
  agent_id: string | null
  url: string
  /** The exact bytes. */
  payload: string
  state: string
  attempts: number
}

/** A database for the whole test file, dropped at its end. */
export async function databaseOfFile(options?: { migrated: boolean }): Promise<TestDatabase> {
  const db = await createTestDatabase(options)
  onCleanup(file, () => db.drop())
  return db
}

/** The owner of cleanups at the end of the file. */
export const file = { after: (run: () => Promise<void>) => after(run) }

/** A session of its own, for what is set in a session or needs several statements in one transaction. */
export async function inSession<T>(
  db: TestDatabase,
  use: (session: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const session = await db.pool.connect()
  try {
    return await use(session)
  } finally {
    // Never returned to the pool: its settings would be the next one's.
    session.release(true)
  }
}

/** Inserts one row of text columns and values of any type; returns its id. */
export async function insert(
  db: Querying,
  table: string,
  row: Record<string, unknown> = {},
): Promise<string> {
  const all: Record<string, unknown> = { id: `${table.replace(/s$/, '')}-${randomUUID()}`, ...row }
  const columns = Object.keys(all)
  const places = columns.map((_, i) => `$${i + 1}`)
  await client(db).query(
    `insert into ${table} (${columns.join(', ')}) values (${places.join(', ')})`,
    Object.values(all),
  )
  return all['id'] as string
}

/** A running task, of a ticket with a URL unless it is told of another. */
export async function runningTask(db: Querying, row: Record<string, unknown> = {}): Promise<string> {
  const ticket_id =
    'ticket_id' in row
      ? row['ticket_id']
      : await insert(db, 'tickets', { title: 'a ticket', webhook_url: ticketUrl })
  return insert(db, 'tasks', { title: 'a task', status: 'running', ...row, ticket_id })
}

export async function setStatus(db: Querying, task: string, status: string): Promise<void> {
  const { rowCount } = await client(db).query('update tasks set status = $2 where id = $1', [task, status])
  assert.equal(rowCount, 1, `${task} exists`)
}

/** The events of a task, in the order of their insertion. */
export async function captured(db: Querying, task: string): Promise<CapturedRow[]> {
  const { rows } = await client(db).query<CapturedRow>(
    `select event_id, event_type, entity_type, entity_id, project_id, ticket_id, task_id, agent_id, url, payload::text,
       state, attempts
     from webhook_outbox where task_id = $1 order by id`,
    [task],
  )
  return rows
}

export async function eventTypes(db: Querying, task: string): Promise<string[]> {
  return (await captured(db, task)).map((row) => row.event_type)
}

/** The one event of a task, with its body checked against its schema. */
export async function onlyEvent(
  db: Querying,
  task: string,
): Promise<{ row: CapturedRow; body: WebhookEvent }> {
  const rows = await captured(db, task)
  assert.equal(rows.length, 1, `events of ${task}`)
  const row = rows[0]!
  return { row, body: checkedBody(row.payload) }
}

/** The body, which must be compact JSON in the documented order of keys. */
export function checkedBody(payload: string): WebhookEvent {
  const body = webhookEvent.parse(JSON.parse(payload))
  assert.deepEqual(Object.keys(JSON.parse(payload) as object), [
    ...[
      'event_type',
      'timestamp',
      'entity_type',
      'entity_id',
      'project_id',
      'ticket_id',
      'task_id',
      'agent_id',
    ],
    'data',
  ])
  assert.deepEqual(Object.keys(body.data), dataKeys[body.event_type])
  // JavaScript prints strings and whole numbers as Postgres does: no byte differs, so none is white space.
  assert.equal(payload, JSON.stringify(JSON.parse(payload)))
  return body
}

const dataKeys = {
  'task.completed': ['result', 'duration_seconds', 'output_summary'],
  'task.failed': ['error', 'retry_count', 'max_retries'],
  'agent.stuck': ['last_heartbeat', 'stuck_reason', 'seconds_since_heartbeat'],
}
