import { type Kysely, sql } from 'kysely'
import type { Database } from '../database/tables.ts'

/** What was settled in one minute. */
export interface Minute {
  /** Unix time of its beginning, in milliseconds. */
  at: number
  delivered: number
  dead: number
  /** Milliseconds from the change to its delivery; null where nothing was delivered. */
  p50: number | null
  p99: number | null
}

const minute = 60_000
const minutes = 60
/** Minutes that are asked for again: a settlement may commit some seconds after its time. */
const open = 2

/**
 * The last hour by minutes, the one that runs last. Minutes that are over do not change any more and are kept, so that a
 * page that is looked at all day costs the last two minutes each time.
 */
export class Activity {
  readonly #db: Kysely<Database>
  readonly #closed = new Map<number, Minute>()

  constructor(db: Kysely<Database>) {
    this.#db = db
  }

  async lastHour(now = Date.now()): Promise<Minute[]> {
    const current = now - (now % minute)
    const all = Array.from({ length: minutes }, (_, i) => current - (minutes - 1 - i) * minute)
    const from = all.find((at) => !this.#closed.has(at)) ?? current
    const found = new Map((await settledByMinute(this.#db, from)).map((one) => [one.at, one]))
    const seen = all.map((at) => this.#closed.get(at) ?? found.get(at) ?? nothing(at))
    this.#closed.clear()
    for (const one of seen.slice(0, -open)) this.#closed.set(one.at, one)
    return seen
  }
}

/** The last hour of one endpoint, which is looked at too seldom to be kept. */
export async function lastHourOf(
  db: Kysely<Database>,
  endpointId: string,
  now = Date.now(),
): Promise<Minute[]> {
  const first = now - (now % minute) - (minutes - 1) * minute
  const found = new Map((await settledByMinute(db, first, endpointId)).map((one) => [one.at, one]))
  return Array.from({ length: minutes }, (_, i) => first + i * minute).map(
    (at) => found.get(at) ?? nothing(at),
  )
}

function nothing(at: number): Minute {
  return { at, delivered: 0, dead: 0, p50: null, p99: null }
}

/** SQL may have stored an infinite time, from which nothing is subtracted before PostgreSQL 17. */
const latency = sql`case when isfinite(created_at) then extract(epoch from settled_at - created_at)::float8 * 1000 end`

async function settledByMinute(db: Kysely<Database>, from: number, endpointId?: string): Promise<Minute[]> {
  const { rows } = await sql<Omit<Minute, 'p50' | 'p99'> & { percentiles: (number | null)[] | null }>`
    select extract(epoch from date_trunc('minute', settled_at))::float8 * 1000 as at,
      (count(*) filter (where outcome = 'delivered'))::integer as delivered,
      (count(*) filter (where outcome = 'dead'))::integer as dead,
      percentile_cont(array[0.5, 0.99]) within group (order by ${latency}) filter (where outcome = 'delivered') as percentiles
    from webhook_history
    where settled_at >= to_timestamp(${from / 1000}::float8) and outcome in ('delivered', 'dead')
      ${endpointId === undefined ? sql`` : sql`and endpoint_id = ${endpointId}::uuid`}
    group by 1`.execute(db)
  return rows.map(({ percentiles, ...row }) => ({
    ...row,
    p50: percentiles?.[0] ?? null,
    p99: percentiles?.[1] ?? null,
  }))
}
