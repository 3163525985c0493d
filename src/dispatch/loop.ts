import type { Log } from '../observe/log.ts'
import { Waker } from './waker.ts'

/**
 * Runs a piece of work now and then every `intervalMs`. A run that fails is logged, once until one succeeds again, and is
 * tried again after `intervalMs` or a second, whichever is less: Postgres may be away, and is waited for.
 */
export interface LoopOptions {
  /** For the log, as in "… failed". */
  name: string
  intervalMs: number
  log: Log
  run: () => Promise<void>
  /** While it says false nothing is run, and it is asked again after `intervalMs` or a second, whichever is less. */
  when?: (() => boolean) | undefined
  /** What has become dear takes a tenth of the time: a run is followed by a rest ten times as long, up to this; default: none. */
  longestRestMs?: number
}

export class Loop {
  readonly #options: LoopOptions
  readonly #waker = new Waker()
  #running: Promise<void> | undefined
  #stopping = false

  constructor(options: LoopOptions) {
    this.#options = options
  }

  start(): void {
    if (this.#running !== undefined || this.#stopping) return
    this.#running = this.#loop()
  }

  /** Waits for the run under way. Safe twice, and before `start`. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#waker.wake()
    await this.#running
  }

  /** @throws what the work throws */
  runOnce(): Promise<void> {
    return this.#options.run()
  }

  async #loop(): Promise<void> {
    const { name, intervalMs, log, run, when, longestRestMs = 0 } = this.#options
    let failing = false
    while (!this.#stopping) {
      if (when?.() === false) {
        await this.#waker.wait(Math.min(intervalMs, 1_000))
        continue
      }
      const start = performance.now()
      try {
        await run()
        if (failing) log.info(`${name} works again`)
        failing = false
      } catch (error) {
        if (!failing) log.error({ err: error }, `${name} failed`)
        failing = true
      }
      const restMs = Math.min((performance.now() - start) * 10, longestRestMs)
      await this.#waker.wait(failing ? Math.min(intervalMs, 1_000) : Math.max(intervalMs, restMs))
    }
  }
}
