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
    create view webhook_backlog as
    select endpoint_id,
      min(split_part(split_part(url, '#', 1), '?', 1)) as endpoint,
      count(*) filter (where due and state = 'pending') as due,
      count(*) filter (where not due and state = 'pending') as waiting,
      count(*) filter (where state = 'delivering') as delivering,
      now() - min(next_attempt_at) filter (where due and state = 'pending') as oldest_due_age,
      min(next_attempt_at) filter (where not due and state = 'pending') as next_attempt_at,
      (array_agg(last_error order by next_attempt_at desc) filter (where last_error is not null))[1] as last_error
    from (select *, next_attempt_at <= now() as due from webhook_outbox) owed
    group by endpoint_id`.execute(db)
  await describe(db, 'view', 'webhook_backlog', 'What is owed, one row an endpoint', {
    endpoint_id: 'Endpoint: the URL without query and fragment, hashed',
    endpoint: 'The URL without query and fragment',
    due: 'Events that could be sent now',
    waiting: 'Events that wait for the time of their next attempt',
    delivering: 'Events that a dispatcher is sending now, or whose dispatcher died and whose lease runs',
    oldest_due_age: 'How long the oldest due event has been due',
    next_attempt_at: 'When the first of the waiting events is due',
    last_error: 'Why the last attempt that failed did',
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
  await sql`drop view webhook_dead_letters, webhook_backlog, webhook_events`.execute(db)
}
