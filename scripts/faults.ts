/**
 * npm run test:faults [-- <what>…]: every fault of the process, the database and the data, one test file after the other, each
 * with a Postgres of its own. <what> is a part of a file's path, or else a pattern for the names of tests.
 * FAULT_SEED=… replays a run's random choices; TEST_POSTGRES=15 takes the Postgres 15 of this machine.
 */
import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { resolve } from 'node:path'
import { removeAbandoned } from '../tests/support/server.ts'

const root = resolve(import.meta.dirname, '..')
const all = globSync('tests/faults/*.{test,fault}.ts', { cwd: root }).sort()
const args = process.argv.slice(2)
const chosen = all.filter((file) => args.some((arg) => file.includes(arg)))
const patterns = args.filter((arg) => !all.some((file) => file.includes(arg)))

await removeAbandoned()
const child = spawn(
  process.execPath,
  [
    ...['--import', 'tsx', '--test', '--test-concurrency=1', '--test-timeout=300000', '--test-reporter=spec'],
    ...patterns.map((pattern) => `--test-name-pattern=${pattern}`),
    ...(chosen.length > 0 ? chosen : all),
  ],
  { cwd: root, stdio: 'inherit' },
)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
process.exitCode = await new Promise<number>((done, reject) => {
  child.on('error', reject)
  child.on('close', (code) => done(code ?? 1))
})
