/**
 * npm run bench [-- <case>…]: measures the service on real parts, all on this machine: an embedded Postgres in a temporary
 * directory, a receiver and the dispatcher in processes of their own, and writers here. One table of results comes out on
 * standard output, progress on standard error. Times are never judged; a wrong result (an event missing or
 * duplicated, a process that ended) exits with 1 and the reason. `-- --help` names cases and options.
 */
import { writeFile } from 'node:fs/promises'
import type { Case } from './bench/case.ts'
import { claimCost } from './bench/cases/claim-cost.ts'
import { drain } from './bench/cases/drain.ts'
import { drainDefault } from './bench/cases/drain-default.ts'
import { isolationDead } from './bench/cases/isolation-dead.ts'
import { isolationHanging } from './bench/cases/isolation-hanging.ts'
import { isolationMany } from './bench/cases/isolation-many.ts'
import { latency200, latencyIdle } from './bench/cases/latency.ts'
import { recovery } from './bench/cases/recovery.ts'
import { recoveryFull } from './bench/cases/recovery-full.ts'
import { writers } from './bench/cases/writers.ts'
import { readOptions } from './bench/options.ts'
import { toMarkdown, type Report, type Row } from './bench/report.ts'
import { startStage } from './bench/stage.ts'

const cases: Case[] = [
  latencyIdle,
  latency200,
  drain,
  drainDefault,
  writers,
  isolationDead,
  isolationHanging,
  isolationMany,
  claimCost,
  recovery,
  recoveryFull,
]
/** No run takes longer, whatever hangs, unless a case says so. */
const LIFETIME_MS = 30 * 60_000

async function main(): Promise<void> {
  const args = process.argv.slice(2)
  const options = readOptions(args, cases)
  if (typeof options === 'string') return void process.stdout.write(`${options}\n`)
  say('starting Postgres')
  const chosen = cases.filter((one) => options.cases.includes(one.name))
  const stage = await startStage(Math.max(LIFETIME_MS, ...chosen.map(({ lifetimeMs }) => lifetimeMs ?? 0)))
  const rows: Row[] = []
  for (const selected of chosen) {
    const { name } = selected
    const context = { stage, options, say: (line: string) => say(`${name}: ${line}`) }
    context.say('begins')
    const measured = await selected.run(context).catch((error: unknown) => {
      throw new Error(`${name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    })
    rows.push(...measured.map((row) => ({ case: name, ...row })))
  }
  await stage.stop()

  const command = ['npm run bench', ...(args.length > 0 ? ['--', ...args] : [])].join(' ')
  const report: Report = { rows, machine: stage.machine, command, quick: options.quick }
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`)
  process.stdout.write(`${toMarkdown(report)}\n`)
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

// The guard ends what is left when this process is gone: Postgres, the children, the directory.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))

main().then(
  () => process.exit(0),
  (error: unknown) => {
    say(`The bench failed: ${error instanceof Error ? error.message : String(error)}`)
    process.exit(1)
  },
)
