/**
 * npm run bench [-- <case>…]: measures the service on real parts, all on this machine: an embedded Postgres in a temporary
 * directory, a receiver, the dispatcher and its peers in processes of their own, and writers here. One table of results comes
 * out on standard output, progress on standard error. A wrong result (an event missing or duplicated, a process that
 * ended) exits with 1 and the reason, after the table of what was measured until then, which a signal prints too. Times are reported against their goals and not judged, but for `--quick`: that
 * compares ratios with scripts/bench/baseline.json, and exits with 1 and the names of the cases that fell. `-- --help`
 * names cases and options.
 */
import { writeFile } from 'node:fs/promises'
import { describeFall, fallsOf, readBaseline, writeBaseline } from './bench/baseline.ts'
import type { Case } from './bench/case.ts'
import { cases } from './bench/cases.ts'
import { startGuard } from './bench/guard.ts'
import { type Options, readOptions } from './bench/options.ts'
import { toMarkdown, type Report, type Row } from './bench/report.ts'
import { startStage, type Stage } from './bench/stage.ts'

/** How long a case may take, where it does not say. */
const MINUTES = 10

/** What is measured so far. */
const rows: Row[] = []
let report: Omit<Report, 'rows'> | undefined

async function main(): Promise<number> {
  const args = process.argv.slice(2)
  const options = readOptions(args, cases)
  if (typeof options === 'string') {
    process.stdout.write(`${options}\n`)
    return 0
  }
  const chosen = cases.filter((one) => options.cases.includes(one.name))
  // In a quick run, a case may be measured once more.
  const minutes = chosen.reduce((sum, one) => sum + (one.minutes ?? MINUTES), 0) * (options.quick ? 2 : 1)
  const guard = await startGuard(minutes * 60_000)
  say('starting Postgres')
  const stage = await startStage(guard)
  const command = ['npm run bench', ...(args.length > 0 ? ['--', ...args] : [])].join(' ')
  report = { machine: stage.machine, command, quick: options.quick }
  for (const one of chosen) rows.push(...(await measure(one, stage, options)))
  const falls = options.quick && !options.writeBaseline ? await confirmedFalls(stage, options) : []
  await stage.stop()

  if (options.json !== undefined)
    await writeFile(options.json, `${JSON.stringify({ rows, ...report }, null, 2)}\n`)
  if (options.writeBaseline) await writeBaseline(rows)
  printTable()
  for (const fall of falls) say(fall)
  return falls.length > 0 ? 1 : 0
}

function printTable(): void {
  if (report !== undefined && rows.length > 0) process.stdout.write(`${toMarkdown({ rows, ...report })}\n`)
}

async function measure(one: Case, stage: Stage, options: Options): Promise<Row[]> {
  const { name } = one
  const context = { stage, options, say: (line: string) => say(`${name}: ${line}`) }
  context.say('begins')
  const measured = await one.run(context).catch((error: unknown) => {
    throw new Error(`${name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  })
  return measured.map((row) => ({ case: name, ...row }))
}

/** What is worse than the baseline twice in a row: others on the machine can spoil a short measurement. */
async function confirmedFalls(stage: Stage, options: Options): Promise<string[]> {
  const baseline = await readBaseline()
  const first = fallsOf(rows, baseline)
  const confirmed: string[] = []
  for (const one of cases.filter(({ name }) => first.some((fall) => fall.case === name))) {
    say(`${one.name}: worse than the baseline, and is measured once more`)
    for (const fall of fallsOf(await measure(one, stage, options), baseline)) {
      if (first.some(({ case: name, measure }) => name === fall.case && measure === fall.measure))
        confirmed.push(describeFall(fall))
    }
  }
  return confirmed
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

// The guard ends what is left when this process is gone: Postgres, the children, the directory.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    printTable()
    process.exit(130)
  })
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    printTable()
    say(`The bench failed: ${error instanceof Error ? error.message : String(error)}`)
    process.exit(1)
  },
)
