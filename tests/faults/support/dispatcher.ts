import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export type LogLine = Record<string, unknown> & { msg?: string }

/** A process of this service, real, with its log. */
export interface ServiceProcess {
  /** Its sessions' application_name, by which the witness knows it. */
  name: string
  pid: number
  /** Its log so far, parsed. */
  lines: LogLine[]
  /** Resolves to the first line, past or to come, that it is true for. */
  waitForLine(
    predicate: (line: LogLine) => boolean,
    options?: { timeoutMs?: number; description?: string },
  ): Promise<LogLine>
  /** kill -9; resolves once it is gone. */
  kill(): Promise<void>
  /** SIGTERM; resolves to its exit code and how long it took. */
  terminate(): Promise<{ code: number | null; ms: number }>
  /** SIGSTOP and SIGCONT. */
  freeze(): void
  thaw(): void
  /** Processor time that it used so far; null where the system does not tell. */
  cpuMs(): Promise<number | null>
  /** Resolves to its exit code, or the signal that ended it. */
  exited: Promise<number | string>
  running: () => boolean
}

export interface ProcessOptions {
  name: string
  /** Path of the entry. */
  entry: string
  /** Modules to load before it. */
  preload?: string[]
  env: Record<string, string>
}

const root = join(import.meta.dirname, '../../..')
const PASSED_ON = ['PATH', 'HOME', 'TMPDIR', 'LANG']

export function startProcess({ name, entry, preload = [], env }: ProcessOptions): ServiceProcess {
  const inherited = Object.fromEntries(
    PASSED_ON.flatMap((key) => (process.env[key] ? [[key, process.env[key]]] : [])),
  )
  const imports = ['tsx', ...preload].flatMap((module) => ['--import', module])
  const child = spawn(process.execPath, [...imports, entry], {
    cwd: root,
    env: { ...inherited, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: LogLine[] = []
  const watchers = new Set<(line: LogLine) => void>()
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = parse(text)
    lines.push(line)
    for (const watch of watchers) watch(line)
  })
  let errors = ''
  child.stderr.on('data', (data: Buffer) => (errors = (errors + data.toString()).slice(-4_000)))
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string)

  const signal = (name: NodeJS.Signals) => void (running(child) && child.kill(name))
  return {
    name,
    pid: child.pid!,
    lines,
    exited,
    running: () => running(child),
    async kill() {
      signal('SIGKILL')
      await exited
    },
    async terminate() {
      const start = performance.now()
      signal('SIGTERM')
      const code = await exited
      return { code: typeof code === 'number' ? code : null, ms: performance.now() - start }
    },
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    cpuMs: () => cpuMs(child.pid!),
    waitForLine: (predicate, { timeoutMs = 20_000, description = 'a certain line' } = {}) => {
      const found = lines.find(predicate)
      if (found) return Promise.resolve(found)
      return new Promise((resolve, reject) => {
        const finish = (settle: () => void) => {
          clearTimeout(timer)
          watchers.delete(watch)
          settle()
        }
        const watch = (line: LogLine) => {
          if (predicate(line)) finish(() => resolve(line))
        }
        const fail = (why: string) =>
          finish(() =>
            reject(new Error(`${name} ${why} before it logged ${description}\n${tail(lines)}\n${errors}`)),
          )
        const timer = setTimeout(() => fail(`let ${timeoutMs} ms pass`), timeoutMs)
        watchers.add(watch)
        void exited.then((code) => fail(`ended (${code})`))
      })
    },
  }
}

function running(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}

function parse(text: string): LogLine {
  try {
    return JSON.parse(text) as LogLine
  } catch {
    return { msg: text }
  }
}

function tail(lines: LogLine[]): string {
  return lines
    .slice(-15)
    .map((line) => JSON.stringify(line))
    .join('\n')
}

const CLOCK_TICK_MS = 10

async function cpuMs(pid: number): Promise<number | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  if (stat === null) return null
  // Behind "pid (name) ": state is the first field, utime and stime the 12th and 13th.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * CLOCK_TICK_MS
}
