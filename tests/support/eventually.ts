import { setTimeout as sleep } from 'node:timers/promises'

export interface EventuallyOptions {
  /** Default 10,000. */
  timeoutMs?: number
  description?: string
}

/**
 * Repeats an assertion until it holds, and returns its value: for database state that has no event to await.
 * Waits 5 ms after the first failure, growing to 100 ms.
 * @throws with the last failure, once the time is over
 */
export async function eventually<T>(
  assertion: () => T | Promise<T>,
  { timeoutMs = 10_000, description = 'the assertion holds' }: EventuallyOptions = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  for (let wait = 5; ; wait = Math.min(wait * 2, 100)) {
    try {
      return await assertion()
    } catch (cause) {
      if (performance.now() + wait > deadline) {
        const last = cause instanceof Error ? cause.message : String(cause)
        throw new Error(`not within ${timeoutMs} ms: ${description}\n${last}`, { cause })
      }
    }
    await sleep(wait)
  }
}
