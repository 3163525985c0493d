import { timerMs } from '../timer.ts'

/** Why a wait ended: a wake, the time that was asked for, or its own deadline. */
export type Waking = 'woken' | 'wanted' | 'deadline'

/** Lets one loop wait for the first of: a wake, a time that was asked for, or its own deadline. */
export class Waker {
  #woken = false
  #resume: (() => void) | undefined
  /** `performance.now()` at which the loop is wanted; kept across waits until it has come. */
  #wantedAt = Number.POSITIVE_INFINITY

  /** Ends the wait that is under way, or the next one. */
  wake(): void {
    this.#woken = true
    this.#resume?.()
  }

  /** Makes sure that the loop runs in `ms` from now, whatever it waits for. */
  wakeWithin(ms: number): void {
    const at = performance.now() + ms
    if (at >= this.#wantedAt) return
    this.#wantedAt = at
    // A wait that is under way was timed without it.
    this.#resume?.()
  }

  async wait(ms: number): Promise<Waking> {
    const now = performance.now()
    // Where the timer is the shorter one, the loop looks once too often, and waits again.
    const longest = timerMs(Math.min(ms, this.#wantedAt - now))
    if (!this.#woken && longest > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, longest)
        this.#resume = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.#resume = undefined
    }
    const woken = this.#woken
    this.#woken = false
    const wanted = performance.now() >= this.#wantedAt
    if (wanted) this.#wantedAt = Number.POSITIVE_INFINITY
    if (woken) return 'woken'
    return wanted ? 'wanted' : 'deadline'
  }
}
