import { randomUUID } from 'node:crypto'
import type { TestDatabase } from './database.ts'

/** A ticket of its own with `count` running tasks, whose webhook goes to `url`; returns the tasks' ids. */
export async function runningTasks(db: TestDatabase, url: string | null, count = 1): Promise<string[]> {
  const ticket = `ticket-${randomUUID()}`
  await db.query('insert into tickets (id, title, webhook_url) values ($1, $1, $2)', [ticket, url])
  const rows = await db.query<{ id: string }>(
    `insert into tasks (id, title, ticket_id, status, started_at)
     select $1 || '/' || n, 'a task', $1, 'running', now() from generate_series(1, $2::integer) n
     returning id`,
    [ticket, count],
  )
  return rows.map((row) => row.id)
}

/** Completes tasks as any writer would, in one statement; resolves once it has committed. */
export async function complete(db: TestDatabase, ids: string[]): Promise<void> {
  await db.query(`update tasks set status = 'completed', completed_at = now() where id = any($1)`, [ids])
}

export interface SettledRow extends Record<string, unknown> {
  event_id: string
  task_id: string
  state: string
  attempts: number
  last_status: number | null
  last_error: string | null
}

/** The events of these tasks, in the outbox or in the history. */
export function eventsOf(db: TestDatabase, ids: string[]): Promise<SettledRow[]> {
  return db.query<SettledRow>(
    `select event_id, task_id, state, attempts, last_status, last_error from webhook_events
     where task_id = any($1) order by created_at`,
    [ids],
  )
}
