import type pg from 'pg'
import { eventColumns } from './event-columns.ts'

/** A delivery that this dispatcher holds under a lease. */
export interface Claimed {
  /** Row of webhook_outbox: a bigint, as text. */
  id: string
  eventId: string
  eventType: string
  url: string
  /** JSON text: the exact bytes to send. */
  payload: string
  /** Number of this attempt, from 1: counted already, before the POST. */
  attempt: number
  /** Attempts before this one that the retry schedule does not count. */
  attemptsBefore: number
  leaseToken: string
  /** `performance.now()` before the claim was sent: the lease ends no earlier than `leaseMs` after it. */
  claimedAt: number
}

export interface ClaimOptions {
  limit: number
  leaseMs: number
  /** The first try and its retries. */
  maxAttempts: number
}

interface Row {
  id: string
  event_id: string
  event_type: string
  url: string
  payload: string
  attempts: number
  attempts_before: number
  lease_token: string
}

/**
 * Takes up to `limit` due rows, oldest due first.
 *
 * Due is what waits for a time that has come, or was leased by a dispatcher that let the lease expire: one
 * expression, one range of webhook_outbox_due_idx. The attempt counts now, so that a row that kills its dispatcher
 * ends as dead instead of killing every dispatcher for ever: an expired lease without attempts left is settled as
 * dead here. What became of the attempt under an expired lease is not known; it is recorded as lost.
 *
 * Rows that were in flight together expire together. Where one of them kills its dispatcher they would be lost together again
 * and again, until all are dead. So what is lost for the second time, or has one attempt left, waits a random part of a
 * lease instead of being taken: the others then go out while the one that kills is under its lease.
 */
export async function claim(db: pg.Pool | pg.PoolClient, options: ClaimOptions): Promise<Claimed[]> {
  const claimedAt = performance.now()
  const { rows } = await db.query<Row>(claimSql, [options.limit, options.leaseMs, options.maxAttempts])
  return rows.map((row) => ({
    id: row.id,
    eventId: row.event_id,
    eventType: row.event_type,
    url: row.url,
    payload: row.payload,
    attempt: row.attempts,
    attemptsBefore: row.attempts_before,
    leaseToken: row.lease_token,
    claimedAt,
  }))
}

// Statement time (now()), and not clock_timestamp(), because an index condition must not be volatile.
const claimSql = `
  with due as materialized (
    select id, event_id, attempts, lease_until, expired, expired and tries >= $3::integer as spent,
      expired and tries >= least(2, $3::integer - 1) and tries < $3::integer as put_off
    from webhook_outbox, lateral (
      -- bigint, because plain SQL may put any integer there, and one row must not fail everybody's claim.
      select state = 'delivering' and attempts > 0 and lease_until is not null as expired,
        attempts::bigint - attempts_before as tries
    ) lease
    where coalesce(lease_until, next_attempt_at) <= now()
    order by coalesce(lease_until, next_attempt_at), id
    limit $1::integer
    for update of webhook_outbox skip locked
  ),
  lost as (
    insert into webhook_attempts (event_id, attempt, started_at, error)
    select event_id, attempts, lease_until - $2::float8 * interval '1 ms',
      'lost: the dispatcher died or stalled before it recorded what came of it'
    from due where expired
  ),
  buried as (
    delete from webhook_outbox o using due where o.id = due.id and due.spent
    returning o.*
  ),
  dead as (
    insert into webhook_history (${eventColumns}, outcome, attempts, last_status, last_error, created_at)
    select ${eventColumns}, 'dead', attempts, last_status,
      'the dispatcher died or stalled during the last attempt', created_at
    from buried
  ),
  put_off as (
    update webhook_outbox o
    set state = 'pending', lease_token = null, lease_until = null,
      next_attempt_at = now() + random() * $2::float8 * interval '1 ms',
      last_status = null, last_error = 'lost: the dispatcher died or stalled before it recorded what came of it'
    from due where o.id = due.id and due.put_off
  )
  update webhook_outbox o
  set state = 'delivering', attempts = least(o.attempts, 2147483646) + 1, lease_token = gen_random_uuid(),
    lease_until = now() + $2::float8 * interval '1 ms'
  from due
  where o.id = due.id and not due.spent and not due.put_off
  returning o.id, o.event_id, o.event_type, o.url, o.payload, o.attempts, o.attempts_before, o.lease_token`

/**
 * Milliseconds until the first row is due, by the clock of the database: zero or less where one is due already, because its
 * time came after the last claim or somebody else holds its lock; null where nothing is owed.
 */
export async function untilNextDue(db: pg.Pool): Promise<number | null> {
  const { rows } = await db.query<{ ms: number | null }>(
    // Epochs are subtracted, because before PostgreSQL 17 there is no interval to an infinite time.
    `select ((extract(epoch from min(coalesce(lease_until, next_attempt_at))) - extract(epoch from clock_timestamp())) * 1000)::float8 as ms
     from webhook_outbox`,
  )
  return rows[0]?.ms ?? null
}
