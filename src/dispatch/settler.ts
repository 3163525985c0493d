import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { Log } from '../observe/log.ts'
import type { DispatchMetrics } from '../observe/metrics/dispatch-metrics.ts'
import { urlLabel } from '../delivery/url-label.ts'
import { type EndpointTurn, settle, type Settlement } from './settle.ts'

/**
 * Batches settlements: while one batch is being written, the next gathers. A lone settlement is written at once.
 *
 * Where Postgres is away a batch is tried again until it succeeds: the fence makes that harmless, and giving up would
 * send again what was delivered. Where a batch fails on its data, its settlements are written one by one, so that one
 * bad value keeps nobody else's record back.
 */
export class Settler {
  readonly #db: pg.Pool
  readonly #log: Log
  readonly #batchSize: number
  readonly #perEndpoint: number
  readonly #operatorUrl: string | undefined
  readonly #onTurn: () => void
  readonly #metrics: DispatchMetrics | undefined
  #waiting: Pending[] = []
  #writing = false
  #abandoned = false

  constructor(options: {
    db: pg.Pool
    log: Log
    perEndpoint: number
    operatorUrl?: string | undefined
    /** Some breaker opened or closed: what is owed to its endpoint is due at another time. */
    onTurn?: () => void
    metrics?: DispatchMetrics | undefined
    batchSize?: number
  }) {
    this.#db = options.db
    this.#log = options.log
    this.#perEndpoint = options.perEndpoint
    this.#operatorUrl = options.operatorUrl
    this.#onTurn = options.onTurn ?? (() => undefined)
    this.#metrics = options.metrics
    this.#batchSize = options.batchSize ?? 500
  }

  /** @returns whether the row changed; false where its lease was lost, or Postgres stayed away until `abandon`. */
  settle(settlement: Settlement): Promise<boolean> {
    return new Promise((resolve) => {
      this.#waiting.push({ settlement, resolve, since: performance.now() })
      void this.#write()
    })
  }

  /** Stops trying: what is not written yet is left to its lease. */
  abandon(): void {
    this.#abandoned = true
  }

  async #write(): Promise<void> {
    if (this.#writing) return
    this.#writing = true
    try {
      while (this.#waiting.length > 0) await this.#writeBatch(this.#waiting.splice(0, this.#batchSize))
    } finally {
      this.#writing = false
    }
  }

  #logTurn({ endpointId, url, turn, error }: EndpointTurn): void {
    const { origin, hash } = urlLabel(url)
    const line = {
      endpoint_id: endpointId,
      url: origin,
      url_hash: hash,
      ...(error === null ? {} : { error }),
    }
    if (turn === 'closed') this.#log.info(line, turnWords[turn])
    else this.#log.warn(line, turnWords[turn])
  }

  /** The database says how long each was owed when its settlement began; by then the answer was there for a while. */
  #measure(batch: Pending[], owedMs: Map<string, number>, start: number): void {
    if (this.#metrics === undefined) return
    this.#metrics.settled(batch.length, performance.now() - start)
    for (const { settlement, since } of batch) {
      const ms = owedMs.get(settlement.claimed.id)
      if (ms !== undefined) this.#metrics.received(ms - (start - since))
    }
  }

  async #writeBatch(batch: Pending[]): Promise<void> {
    for (let failures = 0; ; failures++) {
      try {
        const settlements = batch.map(({ settlement }) => settlement)
        const start = performance.now()
        const { changed, owedMs, turns } = await settle(this.#db, settlements, {
          perEndpoint: this.#perEndpoint,
          operatorUrl: this.#operatorUrl,
        })
        this.#measure(batch, owedMs, start)
        for (const turn of turns) this.#logTurn(turn)
        if (turns.length > 0) this.#onTurn()
        for (const { settlement, resolve } of batch) resolve(changed.has(settlement.claimed.id))
        return
      } catch (error) {
        if (isDataError(error)) {
          if (batch.length > 1) {
            for (const pending of batch) await this.#writeBatch([pending])
          } else {
            this.#log.error(
              { err: error, event_id: batch[0]!.settlement.claimed.eventId },
              'a settlement was refused',
            )
            batch[0]!.resolve(false)
          }
          return
        }
        if (failures === 0)
          this.#log.warn({ err: error, settlements: batch.length }, 'settling waits for Postgres')
        if (this.#abandoned) {
          for (const { resolve } of batch) resolve(false)
          return
        }
        await sleep(Math.min(50 * 2 ** failures, 1_000))
      }
    }
  }
}

const turnWords = {
  opened: 'an endpoint fails: what is owed to it waits',
  closed: 'an endpoint answers again',
  paused: 'an endpoint says that it is gone, and is paused',
} as const

interface Pending {
  settlement: Settlement
  resolve: (changed: boolean) => void
  /** `performance.now()` when the exchange was over. */
  since: number
}

/** SQLSTATE classes 21 to 23: the values are at fault, and trying the same again cannot help. */
function isDataError(error: unknown): boolean {
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' && /^2[123]/.test(code)
}
