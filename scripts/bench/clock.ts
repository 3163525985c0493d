/** The machine's wall clock in milliseconds, finer than Date.now(), and comparable between its processes. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now()
}
