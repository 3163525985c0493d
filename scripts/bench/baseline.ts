import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import type { Row } from './report.ts'

/**
 * What a quick run measured when the baseline was written, by case and measure: ratios only, each to something that the
 * same run measured, so that they hold on another machine too.
 */
export type Baseline = Record<string, Record<string, Expected>>

export interface Expected {
  value: number
  /** A share of the value: so much worse counts as noise. */
  tolerance: number
}

/** A ratio that is worse than the baseline allows. */
export interface Fall {
  case: string
  measure: string
  value: number
  expected: Expected
}

const file = join(import.meta.dirname, 'baseline.json')
const LEAST_TOLERANCE = 0.25
/** A ratio that falls to a quarter, or grows to four times, is never noise. */
const MOST_TOLERANCE = { atLeast: 0.75, atMost: 3 }

export async function readBaseline(): Promise<Baseline> {
  return JSON.parse(await readFile(file, 'utf8')) as Baseline
}

/** Writes what was measured over what the file says of the same measures. */
export async function writeBaseline(rows: readonly Row[]): Promise<void> {
  const before = await readBaseline()
  const after = { ...before, ...baselineOf(rows) }
  const config = await resolveConfig(file)
  await writeFile(file, await format(JSON.stringify(after), { ...config, filepath: file }))
}

/** The tolerance is twice the distance of the median from the worst round, within the least and the most. */
export function baselineOf(rows: readonly Row[]): Baseline {
  const baseline: Baseline = {}
  for (const row of rows.filter(isRatio)) {
    const [lowest, highest] = row.spread ?? [row.value, row.value]
    const direction = 'atLeast' in row.goal ? 'atLeast' : 'atMost'
    const worst = direction === 'atLeast' ? row.value - lowest : highest - row.value
    const spread = (2 * worst) / row.value
    const tolerance = Math.min(Math.max(LEAST_TOLERANCE, spread), MOST_TOLERANCE[direction])
    baseline[row.case] = {
      ...baseline[row.case],
      [row.measure]: { value: round(row.value), tolerance: round(tolerance) },
    }
  }
  return baseline
}

/** What is worse than it was. Measures that the baseline does not know are not judged. */
export function fallsOf(rows: readonly Row[], baseline: Baseline): Fall[] {
  return rows.filter(isRatio).flatMap((row) => {
    const expected = baseline[row.case]?.[row.measure]
    if (expected === undefined) return []
    const { value, tolerance } = expected
    const fell =
      'atLeast' in row.goal ? row.value < value * (1 - tolerance) : row.value > value * (1 + tolerance)
    return fell ? [{ case: row.case, measure: row.measure, value: row.value, expected }] : []
  })
}

export function describeFall({ case: name, measure, value, expected }: Fall): string {
  const percent = Math.round(expected.tolerance * 100)
  return `${name} fell: ${measure} is ${value.toFixed(2)}, and was ${expected.value.toFixed(2)} (${percent} % is noise)`
}

function isRatio(row: Row): row is Row & { goal: NonNullable<Row['goal']> } {
  return row.unit === '' && row.goal !== undefined
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000
}
