/** Half a second: long enough for a steady trickle to look steady. */
const MEMORY_MS = 500

/** How many events a second come, of late: what is longer ago counts for less. */
export class Pace {
  #events = 0
  #at = 0

  /** @param now `performance.now()` */
  add(events: number, now: number): void {
    this.#events = this.#remembered(now) + events
    this.#at = now
  }

  perSecond(now: number): number {
    return (this.#remembered(now) * 1_000) / MEMORY_MS
  }

  #remembered(now: number): number {
    return this.#events * Math.exp((this.#at - now) / MEMORY_MS)
  }
}
