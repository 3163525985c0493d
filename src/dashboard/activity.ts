import { type Kysely, sql } from 'kysely'
import type { Database } from '../database/tables.ts'

/** What was settled in a minute or an hour. */
export interface Slot {
  /** Unix time of its beginning, in milliseconds. */
  at: number
  delivered: number
  dead: number
  /** Milliseconds from the change to its delivery; null where nothing was delivered. */
  p50: number | null
  p99: number | null
}

const minute = 60_000
const hour = 60 * minute

/** How far back a page can look, by its name in the URL. */
export const windows = {
  '1h': { name: '1 hour', unit: 'minute', slotMs: minute, slots: 60 },
  '24h': { name: '24 hours', unit: 'hour', slotMs: hour, slots: 24 },
  '7d': { name: '7 days', unit: 'hour', slotMs: hour, slots: 168 },
} as const

export type WindowName = keyof typeof windows

/** The one that a URL names; an hour where it names none. */
export function windowOf(name: string | undefined): WindowName {
  return name !== undefined && Object.hasOwn(windows, name) ? (name as WindowName) : '1h'
}

export interface Seen {
  window: WindowName
  /** The one that runs last. */
  slots: Slot[]
  /** Slots at the beginning that are not counted yet: the next look counts on. */
  uncounted: number
}

/** A settlement may commit some seconds after its time: slots are asked for again until they are so old. */
const lateMs = 2 * minute
/** An hour that runs is as good as new for so long. */
const runningMs = minute
/** Endpoints whose slots are kept, those that were looked at last. */
const most = 100

const everything = ''

/** Slots by their beginning, and until when they hold. */
type Kept = Map<number, KeptSlot>

interface KeptSlot {
  slot: Slot
  until: number
}

/**
 * What was settled, by minutes or hours. Those that are over do not change any more and are kept: a page that is looked at all
 * day costs the last of them each time. A week is counted from now backwards, in as many looks as it takes.
 */
export class Activity {
  readonly #db: Kysely<Database>
  readonly #budgetMs: number
  /** By endpoint, or of everything. */
  readonly #minutes = new Map<string, Kept>()
  readonly #hours = new Map<string, Kept>()

  /** @param options.budgetMs how long one look counts: a page is to answer within a tenth of a second */
  constructor(db: Kysely<Database>, { budgetMs = 40 }: { budgetMs?: number } = {}) {
    this.#db = db
    this.#budgetMs = budgetMs
  }

  async look(window: WindowName, endpointId = everything, now = Date.now()): Promise<Seen> {
    const { slotMs, slots: count } = windows[window]
    const current = now - (now % slotMs)
    const starts = Array.from({ length: count }, (_, i) => current - (count - 1 - i) * slotMs)
    const kept = keptFor(slotMs === hour ? this.#hours : this.#minutes, endpointId)
    await this.#count(starts, slotMs, kept, endpointId, now)
    const oldest = slotMs === hour ? current - windows['7d'].slots * hour : starts[0]!
    for (const at of kept.keys()) if (at < oldest) kept.delete(at)
    const slots = starts.map((at) => kept.get(at)?.slot)
    const uncounted = slots.findLastIndex((slot) => slot === undefined) + 1
    return { window, slots: slots.map((slot, i) => slot ?? nothing(starts[i]!)), uncounted }
  }

  /** From now backwards, in steps that double while they are quick, until all is counted or the time is spent. */
  async #count(starts: number[], slotMs: number, kept: Kept, endpointId: string, now: number): Promise<void> {
    const holds = (at: number) => (kept.get(at)?.until ?? -Infinity) > now
    const began = performance.now()
    // An hour is counted by its minutes at once: it is what a page shows first.
    let step = slotMs === minute ? starts.length : 1
    let left = starts.length
    // One step besides the slot that runs, however slow: each look comes further.
    for (let steps = 0; steps < 2 || performance.now() - began < this.#budgetMs; steps++) {
      while (left > 0 && holds(starts[left - 1]!)) left--
      const chunk = starts.slice(Math.max(0, left - step), left)
      const first = chunk.findIndex((at) => !holds(at))
      if (first === -1) return
      left -= chunk.length
      const stepBegan = performance.now()
      const missing = chunk.slice(first)
      const found = await settledBySlot(this.#db, missing, slotMs, endpointId)
      if (performance.now() - stepBegan < this.#budgetMs / 2) step *= 2
      for (const at of missing) {
        const over = at + slotMs + lateMs <= now
        const until = over ? Infinity : slotMs === hour ? now + runningMs : now
        kept.set(at, { slot: found.get(at) ?? nothing(at), until })
      }
    }
  }
}

/** What is kept of it; where too many are, the one that was looked at longest ago is forgotten. */
function keptFor(all: Map<string, Kept>, endpointId: string): Kept {
  const kept = all.get(endpointId) ?? new Map<number, KeptSlot>()
  all.delete(endpointId)
  all.set(endpointId, kept)
  if (all.size > most) all.delete([...all.keys()].find((id) => id !== everything)!)
  return kept
}

function nothing(at: number): Slot {
  return { at, delivered: 0, dead: 0, p50: null, p99: null }
}

/** SQL may have stored an infinite time, from which nothing is subtracted before PostgreSQL 17. */
const latency = sql`case when isfinite(created_at) then extract(epoch from settled_at - created_at)::float8 * 1000 end`

/** @param slots the beginnings of slots that follow each other */
async function settledBySlot(
  db: Kysely<Database>,
  slots: number[],
  slotMs: number,
  endpointId: string,
): Promise<Map<number, Slot>> {
  const [from, to] = [slots[0]! / 1000, (slots.at(-1)! + slotMs) / 1000]
  // date_bin, because date_trunc looks its time zone up for each row: half of the time of this statement.
  const { rows } = await sql<Omit<Slot, 'p50' | 'p99'> & { percentiles: (number | null)[] | null }>`
    select extract(epoch from slot)::float8 * 1000 as at, delivered, dead, percentiles
    from (
      select date_bin(${slotMs}::float8 * interval '1 ms', settled_at, to_timestamp(0)) as slot,
        (count(*) filter (where outcome = 'delivered'))::integer as delivered,
        (count(*) filter (where outcome = 'dead'))::integer as dead,
        percentile_cont(array[0.5, 0.99]) within group (order by ${latency}) filter (where outcome = 'delivered') as percentiles
      from webhook_history
      where settled_at >= to_timestamp(${from}::float8) and settled_at < to_timestamp(${to}::float8)
        and outcome in ('delivered', 'dead')
        ${endpointId === everything ? sql`` : sql`and endpoint_id = ${endpointId}::uuid`}
      group by slot
    ) settled`.execute(db)
  return new Map(
    rows.map(({ percentiles, ...row }) => [
      row.at,
      { ...row, p50: percentiles?.[0] ?? null, p99: percentiles?.[1] ?? null },
    ]),
  )
}
