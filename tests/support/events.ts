import { randomUUID } from 'node:crypto'
import assert from 'node:assert/strict'
import type { TestDatabase } from './database.ts'

/** An event put in by SQL, settled unless `outcome` is null; `columns` are further columns. */
export async function putEvent(
  db: TestDatabase,
  {
    outcome = 'dead',
    ...columns
  }: { outcome?: 'delivered' | 'dead' | 'discarded' | null } & Record<string, unknown> = {},
): Promise<string> {
  const row: Record<string, unknown> = {
    event_id: randomUUID(),
    ...{ event_type: 'task.completed', entity_type: 'task', entity_id: 'k', task_id: 'k' },
    ...{ url: 'http://127.0.0.1:9/gone', payload: '{"n": 1,  "m":2}', attempts: outcome === null ? 0 : 4 },
    created_at: '2026-01-01T00:00:00Z',
    ...(outcome === null ? {} : { outcome }),
    ...columns,
  }
  const names = Object.keys(row)
  await db.query(
    `insert into ${outcome === null ? 'webhook_outbox' : 'webhook_history'} (${names.join(', ')})
     values (${names.map((_, i) => `$${i + 1}`).join(', ')})`,
    Object.values(row),
  )
  return row['event_id'] as string
}

/** A ticket of its own, which may have a URL and a project with another one. */
export async function putTicket(
  db: TestDatabase,
  { url = null, projectUrl }: { url?: string | null; projectUrl?: string | null } = {},
): Promise<{ ticket_id: string; project_id: string | null }> {
  const id = randomUUID()
  if (projectUrl !== undefined) {
    await db.query('insert into projects (id, name, webhook_url) values ($1, $1, $2)', [id, projectUrl])
  }
  const project_id = projectUrl === undefined ? null : id
  await db.query('insert into tickets (id, title, project_id, webhook_url) values ($1, $1, $2, $3)', [
    id,
    project_id,
    url,
  ])
  return { ticket_id: id, project_id }
}

export interface EventRow extends Record<string, unknown> {
  state: string
  url: string
  attempts: number
  payload: string
  last_error: string | null
  created_at: Date
}

/** The event, which is in exactly one place. */
export async function eventOf(db: TestDatabase, id: string): Promise<EventRow> {
  const rows = await db.query<EventRow>('select * from webhook_events where event_id = $1', [id])
  assert.equal(rows.length, 1, 'the event is in one place')
  return rows[0]!
}
