import type { Claimed } from './claim.ts'

/** An endpoint that keeps a delivery waiting for this long is slow, as settling has it too. */
export const SLOW_MS = 1_000
/** One that has not answered at all for this long, while something is under way to it, may be hanging. */
const QUIET_MS = 200

/** What a dispatcher has claimed and not settled yet, by endpoint. */
export class InFlight {
  readonly #endpoints = new Map<string, AtEndpoint>()
  #size = 0

  get size(): number {
    return this.#size
  }

  add({ endpointId, slow }: Claimed): void {
    this.#size++
    const at = this.#endpoints.get(endpointId)
    if (at === undefined) {
      this.#endpoints.set(endpointId, { held: 1, slow: slow ? 1 : 0, heardAt: performance.now() })
    } else {
      at.held++
      if (slow) at.slow++
    }
  }

  /** The endpoint has answered, before the answer is settled. */
  heard({ endpointId }: Claimed): void {
    const at = this.#endpoints.get(endpointId)
    if (at !== undefined) at.heardAt = performance.now()
  }

  delete({ endpointId, slow }: Claimed): void {
    const at = this.#endpoints.get(endpointId)
    if (at === undefined) return
    this.#size--
    at.held--
    if (slow) at.slow--
    if (at.held === 0) this.#endpoints.delete(endpointId)
  }

  spread(): Spread {
    const quietSince = performance.now() - QUIET_MS
    const held: Record<string, number> = {}
    const hanging: string[] = []
    let slow = 0
    for (const [endpointId, at] of this.#endpoints) {
      held[endpointId] = at.held
      const hangs = at.heardAt < quietSince
      if (hangs) hanging.push(endpointId)
      slow += hangs ? at.held : at.slow
    }
    return { held, hanging, slow }
  }
}

/** How the slots of a dispatcher are spread now. */
export interface Spread {
  /** Deliveries by endpoint. */
  held: Record<string, number>
  /** Endpoints from which nothing is heard. */
  hanging: string[]
  /** Deliveries to those, and to the endpoints that were slow when they were claimed. */
  slow: number
}

interface AtEndpoint {
  held: number
  /** Of these, claimed while the endpoint was slow. */
  slow: number
  /** `performance.now()` of its last answer, or of the first claim where nothing was under way. */
  heardAt: number
}
