import type pg from 'pg'
import { claim, type Claimed, type Marks, ringStart } from './claim.ts'
import type { Spread } from './in-flight.ts'

export interface ClaimerOptions {
  db: pg.Pool | pg.PoolClient
  leaseMs: number
  /** Deliveries claimed and not settled yet, at most. */
  maxInFlight: number
  /** Deliveries in flight to one endpoint, over all dispatchers, at most. */
  perEndpoint: number
}

/** Endpoints that one claim looks at: as many as it may have rows for, and fewer while batches fill without. */
const FEWEST_VISITS = 64
const MOST_VISITS = 256

/** Where a look at everything is dear, it takes a tenth of the time at most, and is done at least so often. */
const LONGEST_BETWEEN_LOOKS_MS = 2_000
/** Endpoints that are looked at in between. */
const MOST_MARKS = 256

/**
 * Claims batch after batch, round the ring of endpoints. What it remembers only saves work: a new one finds everything too.
 *
 * While an old transaction keeps dead rows from being cleaned up, a look at everything passes by all that was delivered since
 * it began. Between such looks a claim then starts behind what the last ones have taken, at the endpoints that they met.
 */
export class Claimer {
  readonly #options: ClaimerOptions
  #after = ringStart
  /** Endpoints of which the last claim could not take all that was due. */
  #hot: string[] = []
  /** The last batch came near its limit. */
  #full = false
  #nextDueAt = Number.POSITIVE_INFINITY
  #limited = false
  #marks: Marks = {}
  /** `performance.now()` from which on everything is looked at again. */
  #lookAt = 0
  #looked = true

  constructor(options: ClaimerOptions) {
    this.#options = options
  }

  /** Only a whole round says that nothing is due, and when something will be. */
  get roundDone(): boolean {
    return this.#after === ringStart && this.#looked
  }

  /** Milliseconds until a claim looks at everything again; 0 if the next one does. */
  get untilLookMs(): number {
    return Math.max(0, this.#lookAt - performance.now())
  }

  /** `performance.now()` at which the first of what waits is due, as far as this round has come. */
  get nextDueAt(): number {
    return this.#nextDueAt
  }

  /** Some endpoint has more due than it may have in flight, on this round: what is settled makes room for it. */
  get limited(): boolean {
    return this.#limited
  }

  /** @param spread what the dispatcher holds now */
  async claim(limit: number, { held, hanging, slow }: Spread): Promise<Claimed[]> {
    const { db, leaseMs, maxInFlight, perEndpoint } = this.#options
    const start = performance.now()
    const looks = start >= this.#lookAt
    if (this.#after === ringStart && looks) {
      this.#nextDueAt = Number.POSITIVE_INFINITY
      this.#limited = false
    }
    const { claimed, after, hot, limited, nextDueInMs, marks } = await claim(db, {
      limit,
      leaseMs,
      maxInFlight,
      perEndpoint,
      held,
      // Slow endpoints together hold half of the slots at most, so that they cannot keep the others from theirs.
      slowBudget: Math.max(Math.ceil(maxInFlight / 2) - slow, 0),
      hanging,
      hot: this.#hot,
      after: this.#after,
      visits: this.#full ? FEWEST_VISITS : Math.min(Math.max(limit, FEWEST_VISITS), MOST_VISITS),
      marks: looks ? null : this.#marks,
    })
    this.#remember(marks, looks ? performance.now() - start : undefined)
    this.#after = after
    this.#hot = hot
    this.#full = claimed.length * 2 >= limit
    this.#limited ||= limited
    if (nextDueInMs !== null) this.#nextDueAt = Math.min(this.#nextDueAt, performance.now() + nextDueInMs)
    return claimed
  }

  /** @param lookMs how long a look at everything took, if this was one */
  #remember(marks: Marks | null, lookMs: number | undefined): void {
    this.#looked = lookMs !== undefined
    if (marks === null) {
      this.#marks = {}
      this.#lookAt = 0
      return
    }
    // What was met last is kept.
    const kept = Object.entries(this.#marks).filter(([endpointId]) => !(endpointId in marks))
    this.#marks = Object.fromEntries([...kept, ...Object.entries(marks)].slice(-MOST_MARKS))
    if (lookMs !== undefined)
      this.#lookAt = performance.now() + Math.min(lookMs * 10, LONGEST_BETWEEN_LOOKS_MS)
  }
}
