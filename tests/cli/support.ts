import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')
const launcher = join(root, 'src/cli/webhook-outbox.js')

export interface Ran {
  code: number | null
  stdout: string
  stderr: string
  /** Of what was printed with --json. */
  json: () => Record<string, unknown>
}

const longestMs = 60_000

/** The real command line, as a process of its own with nothing of this environment but what it is given. */
export function startCli(args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  return spawn(process.execPath, [launcher, ...args], {
    cwd: root,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

export async function runCli(args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  const child = startCli(args, env)
  const timer = setTimeout(() => child.kill('SIGKILL'), longestMs)
  let [stdout, stderr] = ['', '']
  child.stdout!.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr!.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  clearTimeout(timer)
  return { code, stdout, stderr, json: () => JSON.parse(stdout) as Record<string, unknown> }
}
