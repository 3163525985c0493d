/** A delay that setTimeout keeps: of more milliseconds than fit into 31 bits, Node makes one. */
export function timerMs(ms: number): number {
  return Math.min(ms, 2 ** 31 - 1)
}
