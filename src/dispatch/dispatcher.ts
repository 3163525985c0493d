import type pg from 'pg'
import type { Sender } from '../delivery/send.ts'
import type { Log } from '../observe/log.ts'
import { claim, type Claimed, untilNextDue } from './claim.ts'
import { deliver } from './deliver.ts'
import { Listener } from './listener.ts'
import { Settler } from './settler.ts'
import { SleepLock } from './sleep-lock.ts'
import { Waker } from './waker.ts'

/**
 * The loop that empties the outbox: wake, claim, send, settle.
 *
 *   busy ───nothing due for IDLE_AFTER_MS───► settling down: asks for the sleep lock, and polls meanwhile
 *   settling down ──lock held or followed; one last look finds nothing──► asleep, until a notification, the time of the
 *     next retry, or the poll
 *   asleep ──woken──► busy (the lock is given back when something was found)
 *
 * Several dispatchers share the work: `for update skip locked` gives each row to one of them. No transaction and no
 * connection is held across HTTP. All state is in the row; what this process forgets, its lease gives back.
 */
export interface DispatcherOptions {
  db: pg.Pool
  /** A direct connection for LISTEN and for the sleep lock. */
  listenUrl: string
  sender: Sender
  log: Log
  /** Milliseconds before each retry. */
  retrySchedule: readonly number[]
  /** Deliveries claimed and not settled yet, at most. */
  maxInFlight: number
  leaseMs: number
  /** The deadline of one exchange. */
  deliveryTimeoutMs: number
  /** The longest that a lost notification delays a delivery. */
  pollIntervalMs: number
  /** How long `stop` waits for exchanges under way before it hands them back. */
  shutdownGraceMs: number
}

/** Polling while busy: what comes meanwhile waits half of this on average, and costs writers no NOTIFY. */
const BUSY_POLL_MS = 4
/** Polling while a transaction that captured without a NOTIFY, or that locks what is due, stays open. */
const SETTLING_POLL_MS = 20
/** Sleep locks are asked for at most this often. */
const IDLE_AFTER_MS = 50
const NOTIFY_OTHERS_EVERY_MS = 250
/** A day: Node runs a timer of more than 24 at once. */
const LONGEST_GRACE_MS = 86_400_000
const LONGEST_LOCK_TIMEOUT_MS = 5_000

export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #settler: Settler
  readonly #sleepLock: SleepLock
  readonly #listener: Listener
  readonly #waker = new Waker()
  readonly #abort = new AbortController()
  /** Claims of a few rows each cost more than they bring: a quarter of the slots is worth a claim. */
  readonly #claimFrom: number
  #inFlight = 0
  #running: Promise<void> | undefined
  #stopping = false
  #lastBusyAt = 0
  #notifiedOthersAt = 0

  constructor(options: DispatcherOptions) {
    this.#options = options
    this.#claimFrom = Math.ceil(options.maxInFlight / 4)
    this.#settler = new Settler({ db: options.db, log: options.log })
    this.#sleepLock = new SleepLock({
      url: options.listenUrl,
      log: options.log,
      timeoutMs: Math.min(options.pollIntervalMs / 2, LONGEST_LOCK_TIMEOUT_MS),
    })
    this.#listener = new Listener({
      url: options.listenUrl,
      log: options.log,
      onWake: () => this.#waker.wake(),
    })
  }

  start(): void {
    if (this.#running !== undefined || this.#stopping) return
    this.#listener.start()
    this.#running = this.#run()
  }

  /**
   * Stops claiming, waits for what is under way, hands back what is not done after the grace, and returns with nothing
   * left leased. Safe twice, and before `start`.
   */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#waker.wake()
    await this.#running
    await Promise.all([this.#listener.stop(), this.#finish()])
    await this.#sleepLock.close()
  }

  /** Claims once and delivers what was due; returns how many that were when all are settled. */
  async runOnce(): Promise<number> {
    const claimed = await this.#claim(this.#options.maxInFlight - this.#inFlight)
    await Promise.all(claimed.map((delivery) => this.#deliver(delivery)))
    return claimed.length
  }

  async #run(): Promise<void> {
    let failures = 0
    while (!this.#stopping) {
      try {
        await this.#step()
        failures = 0
      } catch (error) {
        if (failures === 0) this.#options.log.error({ err: error }, 'the dispatcher waits for Postgres')
        failures++
        await this.#waker.wait(Math.min(50 * 2 ** failures, 1_000))
      }
    }
  }

  async #step(): Promise<void> {
    const free = this.#options.maxInFlight - this.#inFlight
    if (free < this.#claimFrom) {
      await this.#waker.wait(this.#options.pollIntervalMs)
      return
    }
    const claimed = await this.#claim(free)
    for (const delivery of claimed) void this.#deliver(delivery)
    if (claimed.length > 0) {
      this.#lastBusyAt = performance.now()
      await this.#sleepLock.unlock()
    }
    if (claimed.length < free) await this.#rest()
    else await this.#wakeOthers()
  }

  /** Waits for more work: a little while busy; until woken when no capture can go unnoticed. */
  async #rest(): Promise<void> {
    const start = performance.now()
    if (start - this.#lastBusyAt < IDLE_AFTER_MS) return this.#waker.wait(BUSY_POLL_MS)
    const state = await this.#sleepLock.tryLock()
    if (state === 'writers') return this.#waker.wait(SETTLING_POLL_MS)
    if (state === 'taken') return // one last look, now that every capture notifies
    // 'followed', 'crowded' or 'unreachable': the poll is the guarantee
    const nextDue = (await untilNextDue(this.#options.db)) ?? Number.POSITIVE_INFINITY
    const untilPoll = this.#options.pollIntervalMs - (performance.now() - start)
    // What is due already, and was not to be had, is locked by somebody who may take long.
    await this.#waker.wait(Math.min(untilPoll, nextDue > 0 ? nextDue : SETTLING_POLL_MS))
  }

  async #claim(limit: number): Promise<Claimed[]> {
    const { db, leaseMs, retrySchedule } = this.#options
    const claimed = await claim(db, { limit, leaseMs, maxAttempts: retrySchedule.length + 1 })
    this.#inFlight += claimed.length
    return claimed
  }

  async #deliver(claimed: Claimed): Promise<void> {
    const { sender, log, retrySchedule, leaseMs, deliveryTimeoutMs } = this.#options
    // What the lease has beyond a whole exchange is for the way to the send, and for the settling, by halves.
    const marginMs = (leaseMs - deliveryTimeoutMs) / 2
    const settlement = await deliver(claimed, {
      sender,
      log,
      schedule: retrySchedule,
      sendBefore: claimed.claimedAt + leaseMs - deliveryTimeoutMs - marginMs,
      signal: this.#abort.signal,
      stopping: this.#stopping,
    })
    const changed = await this.#settler.settle(settlement)
    if (!changed) {
      log.warn(
        { event_id: claimed.eventId, attempt: claimed.attempt, outcome: settlement.kind },
        'the lease was lost before this outcome could be recorded; the event may be sent again',
      )
    }
    this.#inFlight--
    if (changed && settlement.kind === 'retry') this.#waker.wakeWithin(settlement.waitMs)
    // The loop waits for slots only where it ran out of them, and `stop` for the last; no other slot is news.
    if (this.#inFlight === this.#options.maxInFlight - this.#claimFrom || this.#stopping) this.#waker.wake()
  }

  async #wakeOthers(): Promise<void> {
    if (performance.now() - this.#notifiedOthersAt < NOTIFY_OTHERS_EVERY_MS) return
    this.#notifiedOthersAt = performance.now()
    await this.#sleepLock.notifyOthers()
  }

  async #finish(): Promise<void> {
    const drained = async () => {
      while (this.#inFlight > 0) await this.#waker.wait(this.#options.pollIntervalMs)
    }
    const graceMs = Math.min(this.#options.shutdownGraceMs, LONGEST_GRACE_MS)
    const grace = setTimeout(() => this.#abort.abort(), graceMs)
    // Postgres may be away as well: then leases give back what cannot be settled.
    const end = setTimeout(() => this.#settler.abandon(), graceMs + 2_000)
    await drained()
    clearTimeout(grace)
    clearTimeout(end)
  }
}
