import type pg from 'pg'
import type { Claimed } from './claim.ts'
import { eventColumns } from './event-columns.ts'
import { operatorEvents } from './operator-events.ts'

/**
 * What becomes of a claimed delivery.
 *
 * - `delivered`, `dead`: moves to the history with its attempt
 * - `retry`: waits `waitMs` for its next attempt
 * - `probe-failed`: keeps its place in the backlog of its endpoint, and the retry schedule does not count the attempt
 * - `handed-back`: was under way at a shutdown; due at once in its place, and the retry schedule does not count the attempt
 * - `released`: nothing was sent; due at once, as if it had not been claimed
 */
export type Settlement = { claimed: Claimed } & (
  | ({ kind: 'delivered' } & Attempt)
  /** `recoverable`: tried again when its endpoint answers again; `pause`: the endpoint said that it is gone. */
  | ({ kind: 'dead'; recoverable: boolean; pause: boolean } & Attempt)
  | ({ kind: 'retry'; waitMs: number } & Attempt)
  | ({ kind: 'probe-failed' } & Attempt)
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

export interface Settled {
  /** Ids of the rows that changed: a settlement whose id is missing came too late. */
  changed: Set<string>
  /** Milliseconds that each of those that were delivered had been owed for, by the clock of the database. */
  owedMs: Map<string, number>
  /** Breakers that opened or closed, and endpoints that were paused. */
  turns: EndpointTurn[]
}

export interface EndpointTurn {
  endpointId: string
  url: string
  turn: 'opened' | 'closed' | 'paused'
  error: string | null
}

export interface SettleOptions {
  /** Deliveries in flight to one endpoint, at most. */
  perEndpoint: number
  /** Where news of endpoints goes: OPERATOR_WEBHOOK_URL. */
  operatorUrl?: string | undefined
}

/**
 * Records what came of a batch, in one statement, with what it says of the endpoints (see 0007_endpoints). Each row changes
 * only while the settlement's token still holds its lease: the fence that stops a dispatcher which stalled past its lease.
 */
export async function settle(
  db: pg.Pool | pg.PoolClient,
  settlements: readonly Settlement[],
  { perEndpoint, operatorUrl }: SettleOptions,
): Promise<Settled> {
  const columns: unknown[][] = Array.from({ length: 12 }, () => [])
  for (const settlement of settlements) {
    const attempt = settlement.kind === 'released' ? null : settlement
    const dead = settlement.kind === 'dead' ? settlement : null
    const values = [
      settlement.claimed.id,
      settlement.claimed.leaseToken,
      settlement.kind,
      settlement.claimed.probe,
      settlement.kind === 'retry' ? settlement.waitMs : 0,
      attempt?.startedAt ?? null,
      attempt?.durationMs ?? null,
      attempt?.status ?? null,
      attempt?.error ?? null,
      attempt?.response ?? null,
      dead?.recoverable ?? false,
      dead?.pause ?? false,
    ]
    values.forEach((value, index) => columns[index]!.push(value))
  }
  const { rows } = await db.query<Row>(settleSql, [...columns, perEndpoint, operatorUrl ?? null])
  const changed = new Set<string>()
  const owedMs = new Map<string, number>()
  const turns: EndpointTurn[] = []
  for (const row of rows) {
    if (row.id !== null) {
      changed.add(row.id)
      if (row.owed_ms !== null) owedMs.set(row.id, row.owed_ms)
    } else turns.push({ endpointId: row.endpoint_id!, url: row.url!, turn: row.turn!, error: row.error })
  }
  return { changed, owedMs, turns }
}

interface Row {
  id: string | null
  owed_ms: number | null
  endpoint_id: string | null
  url: string | null
  turn: EndpointTurn['turn'] | null
  error: string | null
}

// The wait counts from the settling, on the clock of the database. Endpoints are locked in the order of their ids, as the
// claim does. Of a batch to one endpoint the failures after its last success count as the failures in a row.
const settleSql = `
  with settlement as materialized (
    select * from unnest($1::bigint[], $2::uuid[], $3::text[], $4::boolean[], $5::float8[], $6::timestamptz[], $7::integer[],
      $8::integer[], $9::text[], $10::text[], $11::boolean[], $12::boolean[]) with ordinality
      as s (id, token, kind, probe, wait_ms, started_at, duration_ms, status, error, response, recoverable, pause, n)
  ),
  settled as (
    delete from webhook_outbox o using settlement s
    where o.id = s.id and o.lease_token = s.token and s.kind in ('delivered', 'dead')
    returning o.*, s.n, s.kind
  ),
  kept as (
    update webhook_outbox o
    set state = 'pending', lease_token = null, lease_until = null,
      attempts = o.attempts - (s.kind = 'released')::integer,
      attempts_before = o.attempts_before + (s.kind in ('handed-back', 'probe-failed'))::integer,
      next_attempt_at = case s.kind when 'retry' then clock_timestamp() + s.wait_ms * interval '1 ms' else o.next_attempt_at end,
      last_status = case s.kind when 'released' then o.last_status else s.status end,
      last_error = case s.kind when 'released' then o.last_error else s.error end
    from settlement s
    where o.id = s.id and o.lease_token = s.token and s.kind not in ('delivered', 'dead')
    returning o.id, o.event_id, o.endpoint_id, o.attempts, s.n
  ),
  history as (
    insert into webhook_history (${eventColumns}, outcome, attempts, last_status, last_error, created_at, recoverable)
    select o.event_id, o.event_type, o.entity_type, o.entity_id, o.project_id, o.ticket_id, o.task_id, o.agent_id,
      o.url, o.payload, o.traceparent, s.kind, o.attempts, s.status, coalesce(s.error, o.last_error), o.created_at, s.recoverable
    from settled o join settlement s using (n)
  ),
  changed as (
    -- As numbers: before PostgreSQL 17 nothing is subtracted from an infinite time, which SQL may have put there.
    select id, event_id, endpoint_id, attempts, n, case kind when 'delivered' then
      (date_part('epoch', clock_timestamp()) - date_part('epoch', coalesce(replayed_at, created_at))) * 1000 end as owed_ms
    from settled
    union all select id, event_id, endpoint_id, attempts, n, null from kept
  ),
  attempted as (
    insert into webhook_attempts (event_id, attempt, started_at, duration_ms, status, error, response)
    select c.event_id, c.attempts, s.started_at, s.duration_ms, s.status, s.error, s.response
    from changed c join settlement s using (n) where s.kind <> 'released'
  ),
  outcome as (
    select c.endpoint_id, s.*, s.kind = 'delivered' as succeeded, s.kind in ('dead', 'retry', 'probe-failed') as failed,
      coalesce(max(s.n) filter (where s.kind = 'delivered') over (partition by c.endpoint_id), 0) as last_success
    from changed c join settlement s using (n)
  ),
  tally as (
    select endpoint_id, count(*)::integer as rows,
      bool_or(succeeded) as succeeded,
      (count(*) filter (where failed and n > last_success))::integer as failures,
      bool_or(probe and failed) as probe_failed,
      bool_or(probe and not succeeded and not failed) as probe_undone,
      bool_or(succeeded or failed) as judged, bool_or(pause) as pause, bool_or(recoverable) as owes_dead,
      bool_or(duration_ms >= 1000) as slow,
      (array_agg(status order by n desc) filter (where succeeded or failed))[1] as last_status,
      (array_agg(error order by n desc) filter (where failed))[1] as last_error
    from outcome group by endpoint_id
  ),
  locked as materialized (
    select e.*, coalesce(e.max_in_flight, $13::integer) as most_slots, t.rows, t.succeeded, t.judged, t.probe_failed, t.probe_undone, t.pause, t.slow as was_slow, t.owes_dead as more_dead,
      t.failures as new_failures, t.last_status as new_status, t.last_error as new_error,
      case when t.succeeded then t.failures else e.failures + t.failures end as in_row,
      case when t.succeeded or e.failing_since is null then now() else e.failing_since end as since
    from webhook_endpoints e join tally t on t.endpoint_id = e.id
    order by e.id
    for update of e
  ),
  judged as (
    select l.*, case
      when l.breaker <> 'closed' and l.succeeded then 'closed'
      when l.breaker <> 'closed' and (l.probe_failed or l.probe_undone) then 'open'
      when l.breaker = 'closed' and l.in_row >= 10 and now() - l.since >= interval '5 seconds' then 'open'
      else l.breaker end as judgement,
      l.more_dead and not l.owes_dead and coalesce(l.recover_at < now() - interval '10 minutes', true) as forgotten
    from locked l
  ),
  endpoints as (
    update webhook_endpoints e
    set in_flight = greatest(0, j.in_flight - j.rows),
      breaker = j.judgement,
      failures = j.in_row,
      failing_since = case when j.in_row > 0 then j.since end,
      opened_at = case when j.judgement = 'closed' then null when j.breaker = 'closed' then now() else j.opened_at end,
      probe_wait = case
        when j.judgement = 'closed' then null
        when j.breaker = 'closed' then interval '1 second'
        when j.probe_failed then least(j.probe_wait * 2, interval '2 minutes')
        else j.probe_wait end,
      probe_at = case
        when j.judgement = 'closed' then null
        when j.breaker = 'closed' then now() + interval '1 second'
        when j.probe_failed then now() + least(j.probe_wait * 2, interval '2 minutes')
        when j.probe_undone then now()
        else j.probe_at end,
      -- From an open breaker back: one at first, and twice as many each half second.
      slots = case
        when j.breaker <> 'closed' and j.judgement = 'closed' then 1
        when j.succeeded and j.new_failures = 0 and coalesce(j.ramp_at <= now(), true) then
          greatest(j.slots, least(j.slots * 2, j.most_slots))
        -- A batch of failures: what is left to try is tried by half as many, until the breaker opens or something succeeds.
        when j.new_failures > 0 and not j.succeeded then greatest(1, j.slots / 2)
        else j.slots end,
      ramp_at = case
        when j.breaker <> 'closed' and j.judgement = 'closed' then now() + interval '500 ms'
        when j.slots >= j.most_slots then null
        when j.ramp_at <= now() and j.succeeded then now() + interval '500 ms'
        else j.ramp_at end,
      slow = case when j.was_slow then true when j.succeeded then false else j.slow end,
      paused_at = case when j.pause then coalesce(j.paused_at, now()) else j.paused_at end,
      paused_reason = case when j.pause and j.paused_at is null then j.new_error else j.paused_reason end,
      owes_dead = j.owes_dead or j.more_dead,
      -- See recover.ts. What was brought back a while ago and died again goes on with the waits that it had.
      recover_rest = j.recover_rest or j.succeeded and (j.owes_dead or j.more_dead),
      recover_wait = case when j.forgotten then interval '30 seconds' else j.recover_wait end,
      recover_at = case
        when j.succeeded and (j.owes_dead or j.more_dead) then
          greatest(now(), j.recovered_at + case when j.forgotten then interval '30 seconds' else j.recover_wait end)
        when j.forgotten then now() + interval '30 seconds'
        when j.more_dead and not j.owes_dead then greatest(now(), j.recover_at)
        else j.recover_at end,
      last_success_at = case when j.succeeded then now() else j.last_success_at end,
      last_failure_at = case when j.new_failures > 0 then now() else j.last_failure_at end,
      last_status = case when j.judged then j.new_status else j.last_status end,
      last_error = coalesce(j.new_error, j.last_error),
      used_at = now()
    from judged j where e.id = j.id
  ),
  turned as (
    select j.*, t.turn
    from judged j cross join lateral (
      select 'paused' as turn where j.pause and j.paused_at is null
      union all select 'opened' where j.breaker = 'closed' and j.judgement = 'open'
      union all select 'closed' where j.breaker <> 'closed' and j.judgement = 'closed'
    ) t
  ),
  news as (${operatorEvents('$14::text')}
  )
  select id, owed_ms, null::uuid as endpoint_id, null as url, null as turn, null as error from changed
  union all
  select null, null, id, url, turn, new_error from turned`
