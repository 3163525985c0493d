import { type Kysely, sql } from 'kysely'
import { describe, eventColumns } from '../comments.ts'

/** Views for people at an SQL prompt, and for the API's lists. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create view webhook_events as
    select event_id, event_type, entity_type, entity_id, project_id, ticket_id, task_id, agent_id, url, payload,
      state, attempts, next_attempt_at, last_status, last_error, created_at, null::timestamptz as settled_at, endpoint_id
    from webhook_outbox
    union all
    select event_id, event_type, entity_type, entity_id, project_id, ticket_id, task_id, agent_id, url, payload,
      outcome, attempts, null, last_status, last_error, created_at, settled_at, endpoint_id
    from webhook_history`.execute(db)
  await describe(db, 'view', 'webhook_events', 'Every event that is kept: what is owed and what is settled', {
    ...eventColumns,
    state: 'pending, delivering, delivered, dead or discarded',
    attempts: 'Attempts begun',
    next_attempt_at: 'Not sent before this time; null where it is settled',
    last_status: 'HTTP status of the last attempt, null where there was no answer',
    last_error: 'Why the last attempt did not deliver, or why it was given up',
    created_at: 'When the change was made, by the clock of the database',
    settled_at: 'When it was delivered or given up; null where it is owed',
    endpoint_id: 'Endpoint: the URL without query and fragment, hashed',
  })

  await sql`
    create view webhook_dead_letters as
    select event_id, event_type, entity_type, entity_id, project_id, ticket_id, task_id, agent_id, url, payload,
      attempts, last_status, last_error, created_at, settled_at, endpoint_id
    from webhook_history where outcome = 'dead'`.execute(db)
  await describe(db, 'view', 'webhook_dead_letters', 'Events that failed for good, with their reason', {
    ...eventColumns,
    attempts: 'Attempts begun',
    last_status: 'HTTP status of the last attempt, null where there was no answer',
    last_error: 'Why it failed for good',
    created_at: 'When the change was made, by the clock of the database',
    settled_at: 'When it was given up',
    endpoint_id: 'Endpoint: the URL without query and fragment, hashed',
  })
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop view webhook_dead_letters, webhook_events`.execute(db)
}
