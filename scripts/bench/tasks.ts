import type pg from 'pg'
import type { Receipt } from './children/receiver.ts'

/** Inserts a ticket whose webhook goes to `url`, null for nowhere, with `count` running tasks `<ticket>/1` and so on. */
export async function seedTasks(
  db: pg.Client,
  ticket: string,
  url: string | null,
  count: number,
): Promise<void> {
  await insertTasks(db, ticket, url, count)
  await tidy(db)
}

/** The start of a measurement: statistics are fresh, and no checkpoint is due. */
export async function tidy(db: pg.Client): Promise<void> {
  await db.query('vacuum analyze')
  await db.query('checkpoint')
}

export async function insertTasks(
  db: pg.Client,
  ticket: string,
  url: string | null,
  count: number,
): Promise<void> {
  await db.query('insert into projects (id, name, webhook_url) values ($1, $1, $2)', [ticket, url])
  await db.query('insert into tickets (id, project_id, title) values ($1, $1, $1)', [ticket])
  await db.query(
    `insert into tasks (id, ticket_id, title, status, started_at)
     select $1 || '/' || n, $1, 'a task', 'running', now() from generate_series(1, $2::integer) n`,
    [ticket, count],
  )
}

/** Completes tasks as an orchestrator does; give it the WHERE. */
export const completeTasks = `update tasks set status = 'completed', completed_at = now(),
  result = '{"result": "success", "output_summary": "Implemented feature X"}' where `

interface EventRow {
  event_id: string
  task_id: string
  state: string
  attempts: number
  settled_ms: number | null
}

export interface Delivered {
  taskId: string
  /** When its head arrived at the receiver. */
  receivedAt: number
  /** When the row of its history was written, by the database's clock; milliseconds. */
  settledAt: number
}

/**
 * Matches what is recorded of the tasks of a ticket, or of several, with what the receiver got.
 * @throws where an event of the `count` tasks is missing, came twice, or is not recorded as delivered by one attempt
 */
export async function deliveredOnce(
  db: pg.Client,
  tickets: string | string[],
  count: number,
  receipts: Receipt[],
): Promise<Delivered[]> {
  const { rows } = await db.query<EventRow>(
    `select event_id, task_id, state, attempts, extract(epoch from settled_at)::float8 * 1000 as settled_ms
     from webhook_events where ticket_id = any($1)`,
    [[tickets].flat()],
  )
  const times = new Map(receipts)
  const problems = [
    ...(rows.length === count ? [] : [`${rows.length} events of ${count} tasks`]),
    ...(receipts.length === count ? [] : [`${receipts.length} receipts of ${count} events`]),
    ...(times.size === receipts.length ? [] : [`${receipts.length - times.size} events arrived twice`]),
    ...(new Set(rows.map((row) => row.task_id)).size === rows.length ? [] : ['a task has two events']),
    ...rows
      .filter((row) => !times.has(row.event_id) || row.state !== 'delivered' || row.attempts !== 1)
      .slice(0, 3)
      .map(
        ({ event_id: id, state, attempts }) =>
          `event ${id} is ${state} after ${attempts} attempts, and ${times.has(id) ? 'arrived' : 'did not arrive'}`,
      ),
  ]
  if (problems.length > 0) throw new Error(`wrong result: ${problems.join('; ')}`)
  return rows.map((row) => ({
    taskId: row.task_id,
    receivedAt: times.get(row.event_id)!,
    settledAt: row.settled_ms!,
  }))
}
