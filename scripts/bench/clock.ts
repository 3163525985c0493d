/** The machine's wall clock in milliseconds, finer than Date.now(), and comparable between its processes. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now()
}

/** Microseconds of the machine's monotonic clock, which CPU profiles of its processes go by too. */
export function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1_000n)
}
