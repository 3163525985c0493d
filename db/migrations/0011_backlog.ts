import { type Kysely, sql } from 'kysely'
import { describe } from '../comments.ts'
import { endpointUrl } from '../endpoint.ts'

/**
 * What is owed, by endpoint, in milliseconds whatever is owed.
 *
 * Up to 50,000 owed events are counted by whoever looks. Beyond that the count comes from a table that dispatchers write every few
 * seconds (src/operations/count-backlog.ts), and `counted_at` says of when it is: writers pay nothing for it, which a counter
 * in their transaction would make them do, one behind the other. Where no dispatcher has counted lately, everything is
 * counted after all. Measured with 1,000,000 owed to 1,000 endpoints: 7 to 17 ms from the table, 60 to 130 ms counted by
 * the index (640 ms before the first vacuum), 1,800 ms by rows.
 */
const exactUpTo = 50_000

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table webhook_backlog_counts (
      endpoint_id uuid primary key,
      due integer not null,
      waiting integer not null,
      oldest_due_at timestamptz,
      next_attempt_at timestamptz
    ) with (fillfactor = 50)`.execute(db)
  await describe(
    db,
    'table',
    'webhook_backlog_counts',
    'What is pending, one row an endpoint, as a dispatcher counted it last; empty while little is owed. Read webhook_backlog instead',
    {
      endpoint_id: 'Endpoint: the URL without query and fragment, hashed',
      due: 'Events that could be sent then',
      waiting: 'Events that waited then for the time of their next attempt',
      oldest_due_at: 'Since when the oldest due event is due',
      next_attempt_at: 'When the first of the waiting events is due',
    },
  )
  await sql`
    create table webhook_backlog_counted (
      counted_at timestamptz not null default '-infinity',
      next_count_at timestamptz not null default '-infinity',
      valid_until timestamptz not null default '-infinity'
    )`.execute(db)
  await sql`alter table webhook_backlog_counted replica identity full`.execute(db)
  await sql`create unique index webhook_backlog_counted_one_row on webhook_backlog_counted ((true))`.execute(
    db,
  )
  await sql`insert into webhook_backlog_counted default values`.execute(db)
  await describe(
    db,
    'table',
    'webhook_backlog_counted',
    'One row: when webhook_backlog_counts was written. Dispatchers take turns by locking it',
    {
      counted_at: 'Of when the counts are',
      next_count_at: 'When a dispatcher counts again',
      valid_until: 'Until when the counts are shown; after that whoever looks counts',
    },
  )
  await createView(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop view webhook_backlog`.execute(db)
  await sql`drop table webhook_backlog_counted, webhook_backlog_counts`.execute(db)
}

async function createView(db: Kysely<unknown>): Promise<void> {
  await sql`
    create view webhook_backlog as
    with counted as materialized (
      select c.counted_at, c.valid_until > now() and
        (select count(*) from (select from webhook_outbox limit ${sql.lit(exactUpTo + 1)}) few) > ${sql.lit(exactUpTo)} as known
      from webhook_backlog_counted c
    ),
    owed as (
      select o.endpoint_id, count(*) filter (where o.next_attempt_at <= now()) as due,
        count(*) filter (where o.next_attempt_at > now()) as waiting, 0 as delivering,
        min(o.next_attempt_at) filter (where o.next_attempt_at <= now()) as oldest_due_at,
        min(o.next_attempt_at) filter (where o.next_attempt_at > now()) as next_attempt_at
      from webhook_outbox o
      where o.state = 'pending' and (select known from counted) is not true
      group by o.endpoint_id
      union all
      select c.endpoint_id, c.due, c.waiting, 0, c.oldest_due_at, c.next_attempt_at
      from webhook_backlog_counts c
      where (select known from counted)
      union all
      select o.endpoint_id, 0, 0, count(*), null, null
      from webhook_outbox o
      where o.state = 'delivering'
      group by o.endpoint_id
    ),
    summed as (
      select endpoint_id, sum(due)::bigint as due, sum(waiting)::bigint as waiting, sum(delivering)::bigint as delivering,
        min(oldest_due_at) as oldest_due_at, min(next_attempt_at) as next_attempt_at
      from owed group by endpoint_id
    )
    select s.endpoint_id, coalesce(e.url, first.url) as endpoint, s.due, s.waiting, s.delivering,
      -- Before PostgreSQL 17 nothing is subtracted from an infinite time, which SQL may have put there.
      case when isfinite(s.oldest_due_at) then now() - s.oldest_due_at end as oldest_due_age, s.next_attempt_at,
      case when e.failures > 0 or s.waiting > 0 then e.last_error end as last_error,
      case when (select known from counted) then (select c.counted_at from counted c) else now() end as counted_at
    from summed s
    left join webhook_endpoints e on e.id = s.endpoint_id
    -- What was never claimed has no row of its own.
    left join lateral (
      select ${sql.raw(endpointUrl('o.url'))} as url from webhook_outbox o
      where e.id is null and o.state = 'pending' and o.endpoint_id = s.endpoint_id
      order by o.endpoint_id, o.next_attempt_at, o.id limit 1
    ) first on true`.execute(db)
  await describe(db, 'view', 'webhook_backlog', 'What is owed, one row an endpoint', {
    endpoint_id: 'Endpoint: the URL without query and fragment, hashed',
    endpoint: 'The URL without query and fragment',
    due: 'Events that could be sent now; they wait all the same where the endpoint is paused or its breaker is open',
    waiting: 'Events that wait for the time of their next attempt',
    delivering: 'Events that a dispatcher is sending now, or whose dispatcher died and whose lease runs',
    oldest_due_age: 'How long the oldest due event has been due',
    next_attempt_at: 'When the first of the waiting events is due',
    last_error: 'Why the last attempt that failed did; null where the endpoint answers and nothing waits',
    counted_at:
      'Of when due, waiting and the times are: now, or some seconds ago where more than 50,000 events are owed',
  })
}
