import { type Kysely, sql } from 'kysely'

/**
 * COMMENTs for a table or view and its columns: what an operator reads with `\d+` at a prompt.
 * @param columns every column of the relation, in their order
 */
export async function describe(
  db: Kysely<unknown>,
  kind: 'table' | 'view',
  name: string,
  comment: string,
  columns: Record<string, string>,
): Promise<void> {
  await sql`comment on ${sql.raw(kind)} ${sql.id(name)} is ${sql.lit(comment)}`.execute(db)
  for (const [column, text] of Object.entries(columns)) {
    await sql`comment on column ${sql.id(name, column)} is ${sql.lit(text)}`.execute(db)
  }
}

/** What an event says of itself: the same columns in the outbox and in the history. */
export const eventColumns = {
  event_id: 'The webhook-id that receivers deduplicate on: the same on every attempt and replay',
  event_type: 'task.completed, task.failed, agent.stuck, endpoint.failing or endpoint.recovered',
  entity_type: 'What the event is about: task, agent or endpoint',
  entity_id: 'Id of the task, agent or endpoint that the event is about',
  project_id: 'Project of the ticket, null where it has none',
  ticket_id: 'Ticket of the task',
  task_id: 'Task that changed, or that the stuck agent holds',
  agent_id: 'Agent that the task was assigned to, or that is stuck',
  url: 'Where it is sent: the URL of the ticket where it has one, else of the project; of news of endpoints, OPERATOR_WEBHOOK_URL',
  payload: 'The body: the exact bytes that are sent',
}

/** Outbox and history have it alike, behind the columns that views show. */
export const traceparent =
  'Trace of the change, sent as the header of this name: webhook.traceparent of its writer; null where that set none'
