import type pg from 'pg'
import type { Sender } from '../delivery/send.ts'
import type { Log } from '../observe/log.ts'
import type { DispatchMetrics } from '../observe/metrics/dispatch-metrics.ts'
import type { Claimed } from './claim.ts'
import { Claimer } from './claimer.ts'
import { deliver } from './deliver.ts'
import { InFlight, SLOW_MS } from './in-flight.ts'
import { Listener } from './listener.ts'
import { Loop } from './loop.ts'
import { Pace } from './pace.ts'
import { reclaimExpired } from './reclaim.ts'
import { Settler } from './settler.ts'
import { type LockState, SleepLock } from './sleep-lock.ts'
import { Waker } from './waker.ts'

/**
 * The loop that empties the outbox: wake, claim, send, settle.
 *
 *   busy ───few events come, or none for IDLE_AFTER_MS───► settling down: asks for the sleep lock, and polls meanwhile
 *   settling down ──lock held or followed; one last look finds nothing──► asleep, until a notification, the time of the
 *     next retry, or the poll
 *   asleep ──woken──► looks, and sleeps on; or, where many events come, busy: the lock is given back
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
  metrics?: DispatchMetrics | undefined
  /** Milliseconds before each retry. */
  retrySchedule: readonly number[]
  /** Deliveries claimed and not settled yet, at most. */
  maxInFlight: number
  /** Deliveries in flight to one endpoint, over all dispatchers, at most. */
  maxInFlightPerEndpoint: number
  leaseMs: number
  /** The deadline of one exchange. */
  deliveryTimeoutMs: number
  /** The longest that a lost notification delays a delivery. */
  pollIntervalMs: number
  /** How long `stop` waits for exchanges under way before it hands them back. */
  shutdownGraceMs: number
  /** While it says false nothing is claimed, and nothing that expired is taken back; default: always. */
  maySend?: () => boolean
  /** Where news of endpoints goes: OPERATOR_WEBHOOK_URL. */
  operatorUrl?: string | undefined
}

/** Polling while busy: what comes meanwhile waits half of this on average, and costs writers no NOTIFY. */
const BUSY_POLL_MS = 4
/** Polling while a transaction that captured without a NOTIFY, or that locks what is due, stays open. */
const SETTLING_POLL_MS = 20
/** Sleep locks are asked for at most this often. */
const IDLE_AFTER_MS = 50
/**
 * Events a second up to which a dispatcher sleeps between them. A notification is quicker than the poll; at several times
 * this rate it would slow writers down, whose notifying commits queue behind one lock of the server.
 */
const FEW_A_SECOND = 300
const NOTIFY_OTHERS_EVERY_MS = 250
const RECLAIM_EVERY_MS = 500
/** While an old transaction is open, each look passes by all leases that there were since it began. */
const RECLAIM_RESTS_MS = 5_000
/** How often a dispatcher that may not send asks again; it costs no query. */
const HELD_POLL_MS = 100
/** A day: Node runs a timer of more than 24 at once. */
const LONGEST_GRACE_MS = 86_400_000
const LONGEST_LOCK_TIMEOUT_MS = 5_000

export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #claimer: Claimer
  readonly #settler: Settler
  readonly #sleepLock: SleepLock
  readonly #listener: Listener
  readonly #waker = new Waker()
  readonly #abort = new AbortController()
  /** Claims of a few rows each cost more than they bring: a quarter of the slots is worth a claim. */
  readonly #claimFrom: number
  readonly #reclaimer: Loop
  readonly #inFlight = new InFlight()
  #running: Promise<void> | undefined
  #stopping = false
  readonly #pace = new Pace()
  #lastBusyAt = 0
  /** `performance.now()` at the first notification since the last claim began. */
  #notifiedAt: number | undefined
  /** Only the poll ended the last wait, in which nothing could be captured without a notification. */
  #polled = false
  /** What the sleep lock was when it was asked for last; undefined since it was given back. */
  #lock: LockState | undefined
  #askedForLockAt = 0
  #notifiedOthersAt = 0

  constructor(options: DispatcherOptions) {
    this.#options = options
    this.#claimFrom = Math.ceil(options.maxInFlight / 4)
    this.#claimer = new Claimer({
      db: options.db,
      leaseMs: options.leaseMs,
      maxInFlight: options.maxInFlight,
      perEndpoint: options.maxInFlightPerEndpoint,
    })
    this.#settler = new Settler({
      db: options.db,
      log: options.log,
      perEndpoint: options.maxInFlightPerEndpoint,
      operatorUrl: options.operatorUrl,
      onTurn: () => this.#waker.wake(),
      metrics: options.metrics,
    })
    this.#sleepLock = new SleepLock({
      url: options.listenUrl,
      log: options.log,
      timeoutMs: Math.min(options.pollIntervalMs / 2, LONGEST_LOCK_TIMEOUT_MS),
    })
    this.#reclaimer = new Loop({
      name: 'the reclaiming of expired leases',
      intervalMs: RECLAIM_EVERY_MS,
      longestRestMs: RECLAIM_RESTS_MS,
      log: options.log,
      when: options.maySend,
      run: async () => {
        const { db, leaseMs, retrySchedule } = options
        const expired = await reclaimExpired(db, { leaseMs, maxAttempts: retrySchedule.length + 1 })
        if (expired === 0) return
        options.metrics?.leasesExpired(expired)
        this.#waker.wake()
      },
    })
    this.#listener = new Listener({
      url: options.listenUrl,
      log: options.log,
      onWake: (notified) => {
        if (notified) this.#notifiedAt ??= performance.now()
        this.#waker.wake()
      },
    })
    options.metrics?.watch(this)
  }

  /** Its connection for notifications is up. */
  get listening(): boolean {
    return this.#listener.connected
  }

  /** Deliveries claimed and not settled yet. */
  get inFlight(): number {
    return this.#inFlight.size
  }

  start(): void {
    if (this.#running !== undefined || this.#stopping) return
    this.#listener.start()
    this.#reclaimer.start()
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
    await Promise.all([this.#listener.stop(), this.#reclaimer.stop(), this.#finish()])
    await this.#sleepLock.close()
  }

  /** Claims once and delivers what was due; returns how many that were when all are settled. */
  async runOnce(): Promise<number> {
    await this.#reclaimer.runOnce()
    const claimed = await this.#claim(this.#options.maxInFlight - this.#inFlight.size)
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
    if (this.#options.maySend?.() === false) {
      await this.#wakeUp()
      this.#notifiedAt = undefined
      await this.#waker.wait(HELD_POLL_MS)
      return
    }
    const free = this.#options.maxInFlight - this.#inFlight.size
    if (free < this.#claimFrom) {
      await this.#waker.wait(this.#options.pollIntervalMs)
      return
    }
    const claimed = await this.#claim(free)
    for (const delivery of claimed) void this.#deliver(delivery)
    if (claimed.length > 0) {
      this.#lastBusyAt = performance.now()
      this.#pace.add(claimed.length, this.#lastBusyAt)
      if (this.#pace.perSecond(this.#lastBusyAt) > FEW_A_SECOND) await this.#wakeUp()
    }
    if (claimed.length < free) await this.#rest({ found: claimed.length > 0 })
    else await this.#wakeOthers()
  }

  async #wakeUp(): Promise<void> {
    this.#lock = undefined
    await this.#sleepLock.unlock()
  }

  /** Waits for more work: a little while busy; until woken when no capture can go unnoticed. */
  async #rest({ found }: { found: boolean }): Promise<void> {
    const start = performance.now()
    const recentlyBusy = start - this.#lastBusyAt < IDLE_AFTER_MS
    // Only a look that finds nothing says when the first of what waits is due.
    if (found || (recentlyBusy && this.#pace.perSecond(start) > FEW_A_SECOND))
      return void (await this.#waker.wait(BUSY_POLL_MS))
    if (!this.#claimer.roundDone) return void (await this.#waitForLook())
    const asked = start - this.#askedForLockAt
    const mine = this.#lock === 'taken' || this.#lock === 'held'
    // What is held is asked for with each poll, as the queue of notifications may fill, and not much more often: an event that
    // comes meanwhile waits for the answer.
    if (mine ? asked >= this.#options.pollIntervalMs / 2 || !this.#sleepLock.held : asked >= IDLE_AFTER_MS) {
      this.#askedForLockAt = start
      this.#lock = await this.#sleepLock.tryLock()
      if (this.#lock === 'taken') return // one last look, now that every capture notifies
    }
    if (this.#lock === undefined || this.#lock === 'writers')
      return void (await this.#waker.wait(recentlyBusy ? BUSY_POLL_MS : SETTLING_POLL_MS))
    // 'followed', 'crowded' or 'unreachable': the poll is the guarantee
    const now = performance.now()
    const untilPoll = this.#options.pollIntervalMs - (now - start)
    // What is due and was not claimed is locked by somebody, such as an operator's open transaction.
    const untilDue = Math.max(this.#claimer.nextDueAt - now, BUSY_POLL_MS)
    const limited = this.#claimer.limited
    const waking = await this.#waker.wait(Math.min(untilPoll, untilDue))
    // Where an endpoint was at its limit, others may have made the room that this poll finds.
    this.#polled = waking === 'deadline' && untilPoll <= untilDue && !limited
  }

  /** Where looking at everything is dear, it is not done again at once. Nothing says "nothing is due" meanwhile. */
  async #waitForLook(): Promise<void> {
    const untilLook = this.#claimer.untilLookMs
    const notified = this.#lock !== undefined && this.#lock !== 'writers'
    if (untilLook > 0) await this.#waker.wait(notified ? untilLook : Math.min(untilLook, BUSY_POLL_MS))
  }

  async #claim(limit: number): Promise<Claimed[]> {
    const start = performance.now()
    const claimed = await this.#claimer.claim(limit, this.#inFlight.spread())
    for (const delivery of claimed) this.#inFlight.add(delivery)
    this.#measure(claimed, start)
    return claimed
  }

  #measure(claimed: Claimed[], start: number): void {
    const { metrics } = this.#options
    const now = performance.now()
    metrics?.claimed(claimed.length, now - start)
    const notifiedAt = this.#notifiedAt
    // One that came during the claim may be about what the next one finds.
    if (notifiedAt !== undefined && notifiedAt <= start) {
      this.#notifiedAt = undefined
      if (claimed.length > 0) metrics?.noticed(now - notifiedAt)
    }
    // A retry, or what others handed back, is announced by nobody.
    if (this.#polled && claimed.some(({ attempt, probe }) => attempt === 1 && !probe)) metrics?.foundByPoll()
    this.#polled = false
  }

  async #deliver(claimed: Claimed): Promise<void> {
    const { sender, log, metrics, retrySchedule, leaseMs, deliveryTimeoutMs } = this.#options
    const settlement = await deliver(claimed, {
      sender,
      log,
      schedule: retrySchedule,
      leaseMs,
      timeoutMs: deliveryTimeoutMs,
      signal: this.#abort.signal,
      stopping: this.#stopping,
    })
    const wasSlow = claimed.slow || performance.now() - claimed.claimedAt >= SLOW_MS
    if (!wasSlow) this.#inFlight.heard(claimed)
    const changed = await this.#settler.settle(settlement)
    if (!changed) {
      log.warn(
        { event_id: claimed.eventId, attempt: claimed.attempt, outcome: settlement.kind },
        'the lease was lost before this outcome could be recorded; the event may be sent again',
      )
    }
    metrics?.attempted(
      claimed.eventType,
      changed ? settlement.kind : 'lost',
      settlement.kind === 'released' ? undefined : settlement.durationMs,
    )
    this.#inFlight.delete(claimed)
    if (changed && settlement.kind === 'retry') this.#waker.wakeWithin(settlement.waitMs)
    // Room is news where the loop ran out of it, be it its own or an endpoint's, and `stop` waits for the last.
    const roomAgain = this.#inFlight.size === this.#options.maxInFlight - this.#claimFrom
    if (roomAgain || this.#claimer.limited || wasSlow || claimed.probe || this.#stopping) this.#waker.wake()
  }

  async #wakeOthers(): Promise<void> {
    if (performance.now() - this.#notifiedOthersAt < NOTIFY_OTHERS_EVERY_MS) return
    this.#notifiedOthersAt = performance.now()
    await this.#sleepLock.notifyOthers()
  }

  async #finish(): Promise<void> {
    const drained = async () => {
      while (this.#inFlight.size > 0) await this.#waker.wait(this.#options.pollIntervalMs)
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
