import type { Measured } from './report.ts'
import { medianRow } from './report.ts'

/** Microseconds of processor time for one delivery, by who used them; null where it cannot be known. */
export type CpuByPart = Record<string, number | null>

/** Begins to count; the function that it returns says how much each has used since, for one of `count`. */
export function cpuMeter(meters: Record<string, () => number | null>): (count: number) => CpuByPart {
  const before = Object.entries(meters).map(([name, read]) => ({ name, read, start: read() }))
  return (count) =>
    Object.fromEntries(
      before.map(({ name, read, start }) => {
        const end = read()
        return [name, start === null || end === null ? null : (end - start) / count]
      }),
    )
}

export function cpuRows(what: string, rounds: CpuByPart[]): Measured[] {
  return Object.keys(rounds[0] ?? {}).flatMap((who) => {
    const values = rounds.flatMap((round) => round[who] ?? [])
    return values.length === 0 ? [] : [medianRow(`processor time a ${what}: ${who}`, values, 'µs')]
  })
}
