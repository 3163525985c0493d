import { type Kysely, type RawBuilder, sql } from 'kysely'
import { describe, eventColumns, traceparent } from '../comments.ts'
import { endpointId } from '../endpoint.ts'

/**
 * What is still owed. Settling moves a row to webhook_history, so that this table stays as small as
 * the backlog, whatever the history's size.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table webhook_outbox (
      id bigint generated always as identity primary key,
      event_id uuid not null default ${await newEventId(db)},
      event_type text not null,
      entity_type text not null,
      entity_id text not null,
      project_id text,
      ticket_id text,
      task_id text,
      agent_id text,
      url text not null,
      payload json not null,
      state text not null default 'pending'
        constraint webhook_outbox_state_check check (state in ('pending', 'delivering')),
      attempts integer not null default 0,
      next_attempt_at timestamptz not null default clock_timestamp(),
      lease_token uuid,
      lease_until timestamptz,
      last_status integer,
      last_error text,
      created_at timestamptz not null default clock_timestamp(),
      attempts_before integer not null default 0,
      once boolean not null default false,
      replayed_at timestamptz,
      traceparent text,
      endpoint_id ${endpointId}
    ) with (
      -- Each row dies within seconds of its birth: a share of the table's size says nothing here.
      autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
      autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000,
      autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000
    )`.execute(db)

  await sql`create unique index webhook_outbox_event_id_key on webhook_outbox (event_id)`.execute(db)
  // The claim goes from endpoint to endpoint and takes what is due there, oldest first: its work grows with the endpoints
  // that it visits, and not with the rows that wait, nor with those of an endpoint that is dead.
  await sql`
    create index webhook_outbox_pending_idx on webhook_outbox (endpoint_id, next_attempt_at, id)
    where state = 'pending'`.execute(db)
  await sql`
    create index webhook_outbox_lease_idx on webhook_outbox ((coalesce(lease_until, next_attempt_at)))
    where state = 'delivering'`.execute(db)

  await describe(
    db,
    'table',
    'webhook_outbox',
    'What is still owed: events that committed and are neither delivered nor given up. Retry at once: update webhook_outbox set next_attempt_at = now() where …',
    {
      id: 'Order of insertion, and not of commit',
      ...eventColumns,
      state: 'pending: waits for next_attempt_at; delivering: leased to a dispatcher until lease_until',
      attempts: 'Attempts begun, counted before the POST',
      next_attempt_at: 'Not sent before this time',
      lease_token: 'Fence: only the dispatcher that holds this token may settle the row',
      lease_until: 'When the lease ends, and the row is due again',
      last_status: 'HTTP status of the last attempt, null where there was no answer',
      last_error: 'Why the last attempt did not deliver',
      created_at: 'When the change was made, by the clock of the database',
      attempts_before:
        'Attempts that the retry schedule does not count: those before a replay, or handed back at a shutdown',
      once: 'Tried once and not retried: a dead event that was brought back to see whether its endpoint has recovered',
      replayed_at: 'When an operator replayed it last: it is owed since then; null where nobody did',
      traceparent,
      endpoint_id: 'Endpoint: the URL without query and fragment, hashed',
    },
  )
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table webhook_outbox`.execute(db)
}

/**
 * Ids in the order of time, where Postgres can make them (from 18 on): each settlement puts them into the indexes of the
 * history and of the attempts, which are larger than its buffers. What comes in order goes to one page; at random, to a page
 * for each row, which is read, and after a checkpoint written to the WAL as a whole.
 */
async function newEventId(db: Kysely<unknown>): Promise<RawBuilder<unknown>> {
  const { rows } = await sql<{ in_order: boolean }>`
    select current_setting('server_version_num')::integer >= 180000 as in_order`.execute(db)
  return rows[0]!.in_order ? sql`uuidv7()` : sql`gen_random_uuid()`
}
