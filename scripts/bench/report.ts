import type { Machine } from './machine.ts'
import { median } from './statistics.ts'

/** What the figure must be; in a quick run it is compared with the baseline instead. */
export type Goal = { atLeast: number } | { atMost: number }

/** One figure. */
export interface Row {
  case: string
  measure: string
  value: number
  unit: string
  /** How many samples, or rounds, it comes from. */
  n: number
  /** Lowest and highest of the rounds where `value` is their median. */
  spread?: [lowest: number, highest: number]
  goal?: Goal
}

export type Measured = Omit<Row, 'case'>

/** The median of the rounds of a case. */
export function medianRow(measure: string, values: number[], unit: string, goal?: Goal): Measured {
  const spread: [number, number] = [Math.min(...values), Math.max(...values)]
  return { measure, value: median(values), unit, n: values.length, spread, ...(goal ? { goal } : {}) }
}

export function holds({ value, goal }: Pick<Row, 'value' | 'goal'>): boolean {
  if (goal === undefined) return true
  return 'atLeast' in goal ? value >= goal.atLeast : value <= goal.atMost
}

export interface Report {
  rows: Row[]
  machine: Machine
  /** The command that repeats it. */
  command: string
  quick: boolean
}

/** The results as one Markdown table, with what they were measured on. */
export function toMarkdown({ rows, machine, command, quick }: Report): string {
  const cells = [
    ['case', 'measure', 'value', 'lowest–highest', 'n', 'goal'],
    ...rows.map((row) => [
      row.case,
      row.measure,
      `${figure(row.value)} ${row.unit}`.trim(),
      row.spread ? row.spread.map(figure).join('–') : '',
      String(row.n),
      goalCell(row),
    ]),
  ]
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)))
  const print = (line: string[]) => `| ${line.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`
  const [head, ...body] = cells.map(print)
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`
  const settings = Object.entries(machine.postgresSettings).map(([name, value]) => `${name} ${value}`)
  return [
    ...[head, rule, ...body, ''],
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}, load ${machine.load} at the start; ` +
      `Node ${machine.node}, PostgreSQL ${machine.postgres} (${settings.join(', ')}); all parts on this machine, over loopback.`,
    `Repeat: ${command}${quick ? ' (quick: too small to quote)' : ''}`,
  ].join('\n')
}

function goalCell(row: Row): string {
  if (row.goal === undefined) return ''
  const goal = 'atLeast' in row.goal ? `≥ ${row.goal.atLeast}` : `≤ ${row.goal.atMost}`
  return `${goal}: ${holds(row) ? 'holds' : 'missed'}`
}

function figure(value: number): string {
  const digits = Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}
