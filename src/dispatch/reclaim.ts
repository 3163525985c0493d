import type pg from 'pg'
import { eventColumns } from '../../db/event-columns.ts'

/**
 * Makes pending again what dispatchers that died or stalled let expire. What became of such an attempt is not known: it
 * is recorded as lost, and counts. A row without attempts left ends as dead; one that was brought back from the dead may be
 * brought back again (see recover.ts).
 *
 * Rows that were in flight together expire together. Where one of them kills its dispatcher they would be lost together
 * again and again, until all are dead. So what is lost for the second time, or has one attempt left, waits a random part
 * of a lease: the others then go out while the one that kills is under its lease.
 *
 * @returns how many rows had expired
 */
export async function reclaimExpired(
  db: pg.Pool | pg.PoolClient,
  { leaseMs, maxAttempts }: { leaseMs: number; maxAttempts: number },
): Promise<number> {
  const { rows } = await db.query<{ expired: number }>(reclaimSql, [leaseMs, maxAttempts])
  return rows[0]!.expired
}

const reclaimSql = `
  with expired as materialized (
    select o.id, event_id, endpoint_id, attempts, lease_until, begun,
      begun and tries >= allowed as spent,
      once, begun and tries >= least(2, allowed - 1) as doubtful
    from webhook_outbox o, lateral (
      -- bigint, because plain SQL may put any integer there, and one row must not fail the others.
      select attempts > 0 and lease_until is not null as begun, attempts::bigint - attempts_before as tries,
        case when once then 1 else coalesce(
          (select cardinality(e.retry_schedule) + 1 from webhook_endpoints e where e.id = o.endpoint_id), $2::integer) end as allowed
    ) lease
    where state = 'delivering' and coalesce(lease_until, next_attempt_at) <= now()
    order by coalesce(lease_until, next_attempt_at)
    limit 1000
    for update of o skip locked
  ),
  lost as (
    insert into webhook_attempts (event_id, attempt, started_at, error)
    select event_id, attempts, case when isfinite(lease_until) then lease_until - $1::float8 * interval '1 ms' else now() end,
      'lost: the dispatcher died or stalled before it recorded what came of it'
    from expired where begun
  ),
  buried as (
    delete from webhook_outbox o using expired e where o.id = e.id and e.spent
    returning o.*
  ),
  dead as (
    insert into webhook_history (${eventColumns}, outcome, attempts, last_status, last_error, created_at, recoverable)
    select ${eventColumns}, 'dead', attempts, last_status,
      'the dispatcher died or stalled during the last attempt', created_at, once
    from buried
  ),
  returned as (
    update webhook_outbox o
    set state = 'pending', lease_token = null, lease_until = null,
      next_attempt_at = case when e.doubtful then now() + random() * $1::float8 * interval '1 ms' else o.next_attempt_at end,
      last_status = case when e.begun then null else o.last_status end,
      last_error = case when e.begun then 'lost: the dispatcher died or stalled before it recorded what came of it'
        else o.last_error end
    from expired e where o.id = e.id and not e.spent
  ),
  counted as (
    select endpoint_id, count(*)::integer as rows, bool_or(once and spent) as owes_dead from expired where begun group by endpoint_id
  ),
  locked as materialized (
    select e.id, c.rows, c.owes_dead from webhook_endpoints e join counted c on c.endpoint_id = e.id order by e.id for update of e
  ),
  freed as (
    update webhook_endpoints e
    set settled = e.settled + l.rows,
      breaker = case e.breaker when 'probing' then 'open' else e.breaker end,
      owes_dead = e.owes_dead or l.owes_dead
    from locked l where e.id = l.id
  )
  select count(*)::integer as expired from expired`
