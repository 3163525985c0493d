/** A run's random choices, all from one seed: the same seed makes the same choices in the same order. */
export interface Random {
  seed: number
  /** From 0 to below 1. */
  next(): number
  /** A whole number from `min` to `max`, both included. */
  between(min: number, max: number): number
  pick<T>(choices: readonly T[]): T
}

/** By `FAULT_SEED` where it is set, which replays a run; else a seed of its own. */
export function seedOfRun(): number {
  const given = process.env['FAULT_SEED']
  return given ? Number(given) >>> 0 : (Math.random() * 2 ** 32) >>> 0
}

/** mulberry32: small, and good enough to choose when to kill what. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const between = (min: number, max: number) => min + Math.floor(next() * (max - min + 1))
  return { seed, next, between, pick: (choices) => choices[between(0, choices.length - 1)]! }
}
