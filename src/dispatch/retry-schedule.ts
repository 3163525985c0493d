/**
 * How long an attempt that failed waits for the next, or null where the schedule is used up.
 *
 * With the default schedule of 1 s, 2 s and 4 s: attempt 1 → 1 s, 2 → 2 s, 3 → 4 s, 4 → null. Up to a tenth is added,
 * so that what failed together does not come back together; nothing is ever earlier than the schedule, nor than what
 * the receiver asked for (Retry-After).
 *
 * @param attempt number of the attempt in its round, from 1
 * @param waitAtLeastMs what the receiver asked for, null where it asked for nothing
 * @param random from 0 to below 1
 */
export function nextWaitMs(options: {
  schedule: readonly number[]
  attempt: number
  waitAtLeastMs: number | null
  random: number
}): number | null {
  const wait = options.schedule[options.attempt - 1]
  if (wait === undefined) return null
  return Math.max(Math.ceil(wait * (1 + options.random * 0.1)), options.waitAtLeastMs ?? 0)
}
