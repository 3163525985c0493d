/**
 * npm test [-- <what>…]: one Postgres server for all test files, which run in parallel, each in its own process.
 * <what> is a file, a directory, or a part of a test file's path; anything else is a pattern for the names of tests.
 * TEST_POSTGRES=15 takes the Postgres 15 of this machine, TEST_DATABASE_URL a server that runs already.
 */
import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { runDirectory, startTestServer, type TestServer } from '../tests/support/server.ts'

const FILE_TIMEOUT_MS = Number(process.env['TEST_TIMEOUT_MS'] ?? 300_000)
const root = resolve(import.meta.dirname, '..')

interface Selection {
  files: string[]
  namePatterns: string[]
}

function select(args: string[]): Selection {
  const all = globSync('tests/**/*.test.ts', { cwd: root }).sort()
  const matches = args.map((arg) => {
    const path = relative(root, resolve(arg))
    return { arg, files: all.filter((file) => file.startsWith(`${path}/`) || file.includes(path)) }
  })
  const missing = matches.find(({ arg, files }) => files.length === 0 && /\/|\.ts$/.test(arg))
  if (missing) throw new Error(`no test file matches ${missing.arg}`)
  const files = new Set(matches.flatMap((match) => match.files))
  return {
    files: files.size > 0 ? [...files] : all,
    namePatterns: matches.filter((match) => match.files.length === 0).map((match) => match.arg),
  }
}

/** @returns the exit code and how many tests ran */
async function runTests({ files, namePatterns }: Selection, server: TestServer, signals: Signals) {
  const directory = await runDirectory()
  const count = join(directory, 'count')
  try {
    const child = spawn(
      process.execPath,
      [
        ...['--import', 'tsx', '--test', `--test-timeout=${FILE_TIMEOUT_MS}`],
        `--test-concurrency=${availableParallelism()}`,
        ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
        `--test-reporter=${join(import.meta.dirname, 'test-count.ts')}`,
        `--test-reporter-destination=${count}`,
        ...namePatterns.map((pattern) => `--test-name-pattern=${pattern}`),
        ...files,
      ],
      { cwd: root, stdio: 'inherit', env: { ...process.env, ...server.environment } },
    )
    signals.forwardTo((signal) => child.kill(signal))
    const code = await new Promise<number>((done, reject) => {
      child.on('error', reject)
      child.on('close', (status) => done(status ?? 1))
    })
    return { code, ran: Number(await readFile(count, 'utf8').catch(() => '0')) }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

interface Signals {
  received: boolean
  forwardTo(kill: (signal: NodeJS.Signals) => void): void
}

/** From now on a signal only stops the tests: the server and its directory go away in the ordinary course. */
function catchSignals(): Signals {
  let kill: ((signal: NodeJS.Signals) => void) | undefined
  const signals: Signals = { received: false, forwardTo: (target) => (kill = target) }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      signals.received = true
      kill?.(signal)
    })
  }
  return signals
}

async function main(): Promise<number> {
  const signals = catchSignals()
  const selection = select(process.argv.slice(2))
  const server = await startTestServer()
  try {
    if (signals.received) return 1
    console.log(`Testing against PostgreSQL ${server.version}: ${selection.files.length} test file(s)`)
    const { code, ran } = await runTests(selection, server, signals)
    if (signals.received) return 1
    if (ran === 0) {
      console.error(`No test ran: nothing matches ${process.argv.slice(2).join(' ') || 'tests/**/*.test.ts'}`)
      return 1
    }
    const leftovers = await server.leftovers()
    if (leftovers.length > 0) console.error(`Tests left databases behind: ${leftovers.join(', ')}`)
    return leftovers.length > 0 ? code || 1 : code
  } finally {
    await server.stop()
  }
}

process.exitCode = await main()
