import type pg from 'pg'
import { eventColumns } from './event-columns.ts'
import type { Claimed } from './claim.ts'

/**
 * What becomes of a claimed delivery.
 *
 * - `delivered`, `dead`: moves to the history with its attempt
 * - `retry`: waits `waitMs` for its next attempt
 * - `handed-back`: was under way at a shutdown; due at once, and the retry schedule does not count the attempt
 * - `released`: nothing was sent; due at once, as if it had not been claimed
 */
export type Settlement = { claimed: Claimed } & (
  | ({ kind: 'delivered' } & Attempt)
  | ({ kind: 'dead' } & Attempt)
  | ({ kind: 'retry'; waitMs: number } & Attempt)
  | ({ kind: 'handed-back' } & Attempt)
  | { kind: 'released' }
)

/** One exchange as it is recorded. Texts are storable: no NUL, no lone surrogate. */
export interface Attempt {
  startedAt: Date
  durationMs: number
  status: number | null
  /** Null where it delivered. */
  error: string | null
  response: string | null
}

/**
 * Records what came of a batch, in one statement. Each row changes only while the settlement's token still holds its
 * lease: the fence that stops a dispatcher which stalled past its lease.
 *
 * @returns ids of the rows that changed: a settlement whose id is missing came too late
 */
export async function settle(db: pg.Pool, settlements: readonly Settlement[]): Promise<Set<string>> {
  const columns: unknown[][] = Array.from({ length: 9 }, () => [])
  for (const settlement of settlements) {
    const attempt = settlement.kind === 'released' ? null : settlement
    const values = [
      settlement.claimed.id,
      settlement.claimed.leaseToken,
      settlement.kind,
      settlement.kind === 'retry' ? settlement.waitMs : 0,
      attempt?.startedAt ?? null,
      attempt?.durationMs ?? null,
      attempt?.status ?? null,
      attempt?.error ?? null,
      attempt?.response ?? null,
    ]
    values.forEach((value, index) => columns[index]!.push(value))
  }
  const { rows } = await db.query<{ id: string }>(settleSql, columns)
  return new Set(rows.map((row) => row.id))
}

// The wait counts from the settling, on the clock of the database.
const settleSql = `
  with settlement as materialized (
    select * from unnest($1::bigint[], $2::uuid[], $3::text[], $4::float8[], $5::timestamptz[], $6::integer[],
      $7::integer[], $8::text[], $9::text[])
      as s (id, token, kind, wait_ms, started_at, duration_ms, status, error, response)
  ),
  settled as (
    delete from webhook_outbox o using settlement s
    where o.id = s.id and o.lease_token = s.token and s.kind in ('delivered', 'dead')
    returning o.*, s.kind, s.started_at, s.duration_ms, s.status, s.error, s.response
  ),
  kept as (
    update webhook_outbox o
    set state = 'pending', lease_token = null, lease_until = null,
      attempts = o.attempts - (s.kind = 'released')::integer,
      attempts_before = o.attempts_before + (s.kind = 'handed-back')::integer,
      next_attempt_at = case s.kind when 'retry' then clock_timestamp() + s.wait_ms * interval '1 ms'
        else clock_timestamp() end,
      last_status = case s.kind when 'released' then o.last_status else s.status end,
      last_error = case s.kind when 'released' then o.last_error else s.error end
    from settlement s
    where o.id = s.id and o.lease_token = s.token and s.kind in ('retry', 'handed-back', 'released')
    returning o.id, o.event_id, o.attempts, s.kind, s.started_at, s.duration_ms, s.status, s.error, s.response
  ),
  history as (
    insert into webhook_history (${eventColumns}, outcome, attempts, last_status, last_error, created_at)
    select ${eventColumns}, kind, attempts, status, coalesce(error, last_error), created_at
    from settled
  ),
  attempted as (
    insert into webhook_attempts (event_id, attempt, started_at, duration_ms, status, error, response)
    select event_id, attempts, started_at, duration_ms, status, error, response from settled
    union all
    select event_id, attempts, started_at, duration_ms, status, error, response from kept where kind <> 'released'
  )
  select id from settled union all select id from kept`
