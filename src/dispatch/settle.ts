import type pg from 'pg'
import type { Claimed } from './claim.ts'

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

const settleSql = `
  select id, owed_ms, endpoint_id, url, turn, error
  from webhook_settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`
