import type pg from 'pg'

/** A delivery that this dispatcher holds under a lease. */
export interface Claimed {
  /** Row of webhook_outbox: a bigint, as text. */
  id: string
  eventId: string
  eventType: string
  endpointId: string
  url: string
  /** JSON text: the exact bytes to send. */
  payload: string
  /** Of the change; null where its writer set none. */
  traceparent: string | null
  /** Number of this attempt, from 1: counted already, before the POST. */
  attempt: number
  /** Attempts before this one that the retry schedule does not count. */
  attemptsBefore: number
  /** It is not retried: see webhook_outbox.once. */
  once: boolean
  /** It tries an endpoint whose breaker is open. */
  probe: boolean
  /** Its endpoint is slow, or has not answered yet. */
  slow: boolean
  /** The endpoint's own, instead of the configuration's; null where it has none. */
  settings: EndpointSettings | null
  leaseToken: string
  /** `performance.now()` before the claim was sent: the lease ends no earlier than `leaseMs` after it. */
  claimedAt: number
}

/** Null or absent: the configuration's. */
export interface EndpointSettings {
  retry_schedule_ms?: number[] | null
  timeout_ms?: number | null
  headers?: Record<string, string> | null
  /** Of the endpoint, else of the event's project. */
  secrets?: string[] | null
}

export interface ClaimOptions {
  limit: number
  leaseMs: number
  /** Deliveries that this dispatcher may hold: each endpoint gets a share of them at most. */
  maxInFlight: number
  /** How many of them it holds now, by endpoint. */
  held: Record<string, number>
  /** Deliveries in flight to one endpoint, over all dispatchers. */
  perEndpoint: number
  /** How many of them may go to slow endpoints. */
  slowBudget: number
  /** Endpoints that count as slow besides, because they hang now. */
  hanging: string[]
  /** Endpoints of which more was due than the last claim could take. */
  hot: string[]
  /** Endpoints that this claim looks at: the ring goes on where it stopped. */
  visits: number
  /** Where the last claim ended in the ring of endpoints; `ringStart` at first. */
  after: string
  /** Looks only at these endpoints, behind these rows; null looks at all that is due. */
  marks: Marks | null
}

/**
 * By endpoint, the time and the id of the row up to which claims have come. In front of it are rows that are gone, and what
 * committed late, was locked, or was given back.
 */
export type Marks = Record<string, [due: string, id: string]>

export interface Claim {
  claimed: Claimed[]
  /** For the next claim's `after`. */
  after: string
  /** When the first of what waits is due, as far as this claim looked; null where nothing waits. */
  nextDueInMs: number | null
  /** Endpoints that got as much as they may have in flight: more of it may be due. */
  hot: string[]
  /** Some endpoint has as much in flight as it may: more of it may be due. */
  limited: boolean
  /**
   * Null where looking was cheap. Else there are dead rows in front of what is due, which cannot be cleaned up while an old
   * transaction is open; each look passes by all of them, unless it starts behind them.
   */
  marks: Marks | null
}

export const ringStart = '00000000-0000-0000-0000-000000000000'

interface Row {
  id: string | null
  event_id: string
  event_type: string
  endpoint_id: string
  url: string
  payload: string
  traceparent: string | null
  attempts: number
  attempts_before: number
  once: boolean
  probe: boolean
  slow: boolean
  settings: EndpointSettings | null
  quota: number
  lease_token: string
  next_after: string
  next_due_in_ms: number | null
  crowded: boolean | null
  next_marks: Marks | null
}

/**
 * Takes up to `limit` due rows: from endpoint to endpoint as a ring, oldest due first at each, and as many as the
 * endpoint may have in flight (see db/claim.ts). The attempt counts now, before the POST, so that a row that kills its
 * dispatcher ends as dead instead of killing every dispatcher for ever (see reclaim.ts).
 */
export async function claim(db: pg.Pool | pg.PoolClient, options: ClaimOptions): Promise<Claim> {
  const claimedAt = performance.now()
  const { limit, leaseMs, maxInFlight, perEndpoint, slowBudget, held, hanging, hot, after, visits, marks } =
    options
  const values = [
    limit,
    leaseMs,
    maxInFlight,
    perEndpoint,
    slowBudget,
    JSON.stringify(held),
    hanging,
    hot,
    after,
    visits,
    marks === null ? null : JSON.stringify(marks),
  ]
  const { rows } = await db.query<Row>(claimSql, values)
  const summary = rows.at(-1)!
  const taken = rows.slice(0, -1)
  const reached = reachedQuota(taken)
  return {
    claimed: taken.map((row) => toClaimed(row, claimedAt)),
    after: summary.next_after,
    nextDueInMs: summary.next_due_in_ms,
    hot: reached,
    limited: taken.length === limit || summary.crowded === true || reached.length > 0,
    marks: summary.next_marks,
  }
}

const claimSql = `
  select id, event_id, event_type, endpoint_id, url, payload, traceparent, attempts, attempts_before, once, probe, slow, settings, quota,
    lease_token,
    next_after, crowded, next_marks,
    -- Epochs are subtracted, because before PostgreSQL 17 there is no interval to an infinite time.
    ((extract(epoch from next_due_at) - extract(epoch from clock_timestamp())) * 1000)::float8 as next_due_in_ms
  from webhook_claim($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`

function toClaimed(row: Row, claimedAt: number): Claimed {
  return {
    id: row.id!,
    eventId: row.event_id,
    eventType: row.event_type,
    endpointId: row.endpoint_id,
    url: row.url,
    payload: row.payload,
    traceparent: row.traceparent,
    attempt: row.attempts,
    attemptsBefore: row.attempts_before,
    once: row.once,
    probe: row.probe,
    slow: row.slow,
    settings: row.settings,
    leaseToken: row.lease_token,
    claimedAt,
  }
}

function reachedQuota(rows: Row[]): string[] {
  const counts = new Map<string, number>()
  const reached: string[] = []
  for (const { endpoint_id, quota } of rows) {
    const count = (counts.get(endpoint_id) ?? 0) + 1
    if (count === quota) reached.push(endpoint_id)
    counts.set(endpoint_id, count)
  }
  return reached
}
