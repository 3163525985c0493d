import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { receivedEvent } from '../../events.ts'

/** What a dispatcher shows of its own state when somebody looks. */
export interface DispatcherState {
  /** Its connection for notifications is up. */
  readonly listening: boolean
  /** Deliveries claimed and not settled yet. */
  readonly inFlight: number
}

/** What became of an attempt: as its settlement has it; `lost` where the lease was lost before it could be recorded. */
const outcomes = ['delivered', 'retry', 'dead', 'probe-failed', 'handed-back', 'released', 'lost'] as const
export type Outcome = (typeof outcomes)[number]

/** SQL may put any event type into the outbox; those that are not ours share one label. */
const eventTypes: readonly string[] = receivedEvent.options.map((event) => event.shape.event_type.value)
const otherType = 'other'

const exchangeSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const receiptSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600, 86400]
const querySeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const batchSizes = [1, 2, 5, 10, 25, 50, 100, 250, 500]

/**
 * What one process dispatches. On the way of a delivery there are one sum and two histograms without labels; sums that have
 * labels are plain numbers, and become metrics when somebody looks.
 */
export class DispatchMetrics {
  readonly #counts = new Map<string, Record<Outcome, number>>()
  readonly #exchange: Histogram
  readonly #receipt: Histogram
  readonly #claim: Histogram
  readonly #claimBatch: Histogram
  readonly #settle: Histogram
  readonly #settleBatch: Histogram
  readonly #noticed: Histogram
  readonly #polls: Counter
  readonly #leasesExpired: Counter
  readonly #owedTooLong: Counter
  #state: DispatcherState | undefined

  constructor(registry: Registry, { maxInFlight }: { maxInFlight: number }) {
    const registers = [registry]
    const histogram = (name: string, help: string, buckets: number[]) =>
      new Histogram({ name: `webhook_${name}`, help, buckets, registers })
    const counter = (name: string, help: string) => new Counter({ name: `webhook_${name}`, help, registers })
    const gauge = (name: string, help: string, value: () => number) =>
      new Gauge({
        ...{ name: `webhook_${name}`, help, registers },
        collect() {
          this.set(value())
        },
      })
    for (const type of [...eventTypes, otherType]) this.#counts.set(type, noneYet())
    registerDeliveries(registry, this.#counts)
    const exchange = 'Whole exchanges with receivers, whatever came of them'
    this.#exchange = histogram('delivery_duration_seconds', exchange, exchangeSeconds)
    const receipt = 'From the change, or the replay, to the 2xx of the receiver: retries and waits are in it'
    this.#receipt = histogram('commit_to_receipt_seconds', receipt, receiptSeconds)
    this.#claim = histogram('claim_duration_seconds', 'Claims, those that found nothing too', querySeconds)
    this.#claimBatch = histogram('claim_batch_size', 'Deliveries of a claim that found some', batchSizes)
    this.#settle = histogram('settle_duration_seconds', 'Settlements of a batch', querySeconds)
    this.#settleBatch = histogram('settle_batch_size', 'Deliveries of a batch that was settled', batchSizes)
    const noticed = 'From a notification to the end of the claim that found something'
    this.#noticed = histogram('notification_to_claim_seconds', noticed, querySeconds)
    this.#polls = counter(
      'polls_that_found_work_total',
      'Polls that found new events of which no notification had told: notifications are lost',
    )
    this.#leasesExpired = counter(
      'leases_expired_total',
      'Deliveries taken back from a dispatcher that died or stalled: what came of the attempt is not known',
    )
    this.#owedTooLong = counter(
      'events_expired_total',
      'Events that were owed for longer than MAX_OWED_AGE, or the limit of their endpoint, and were discarded',
    )
    gauge('listener_connected', '1 while this process is connected for notifications, else 0', () =>
      this.#state?.listening === true ? 1 : 0,
    )
    gauge(
      'in_flight',
      'Deliveries that this process has claimed and not settled',
      () => this.#state?.inFlight ?? 0,
    )
    gauge('in_flight_limit', 'MAX_IN_FLIGHT of this process', () => maxInFlight)
  }

  /** From now on `dispatcher` is the one that is shown. */
  watch(dispatcher: DispatcherState): void {
    this.#state = dispatcher
  }

  claimed(rows: number, ms: number): void {
    this.#claim.observe(ms / 1000)
    if (rows > 0) this.#claimBatch.observe(rows)
  }

  /** A claim found something `ms` after a notification had come. */
  noticed(ms: number): void {
    this.#noticed.observe(ms / 1000)
  }

  foundByPoll(): void {
    this.#polls.inc()
  }

  leasesExpired(rows: number): void {
    this.#leasesExpired.inc(rows)
  }

  owedTooLong(events: number): void {
    this.#owedTooLong.inc(events)
  }

  settled(rows: number, ms: number): void {
    this.#settle.observe(ms / 1000)
    this.#settleBatch.observe(rows)
  }

  /** @param exchangeMs undefined where nothing was sent */
  attempted(eventType: string, outcome: Outcome, exchangeMs: number | undefined): void {
    const counts = this.#counts.get(eventType) ?? this.#counts.get(otherType)!
    counts[outcome]++
    if (exchangeMs !== undefined) this.#exchange.observe(exchangeMs / 1000)
  }

  /** @param ms from the change to its receipt: on two clocks, which may differ */
  received(ms: number): void {
    if (Number.isFinite(ms)) this.#receipt.observe(Math.max(ms, 0) / 1000)
  }
}

function noneYet(): Record<Outcome, number> {
  return Object.fromEntries(outcomes.map((outcome) => [outcome, 0])) as Record<Outcome, number>
}

function registerDeliveries(registry: Registry, counts: Map<string, Record<Outcome, number>>): void {
  new Counter({
    name: 'webhook_deliveries_total',
    help: 'Attempts by what came of them, and by event type',
    labelNames: ['event_type', 'outcome'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [event_type, byOutcome] of counts) {
        for (const outcome of outcomes) this.inc({ event_type, outcome }, byOutcome[outcome])
      }
    },
  })
}
