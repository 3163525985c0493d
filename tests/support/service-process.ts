import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const root = join(import.meta.dirname, '../..')

/** The real service, `src/main.ts`, as a process of its own; receivers of tests are on loopback. */
export interface ServiceProcess {
  child: ChildProcess
  /** Log lines, parsed. */
  lines: Record<string, unknown>[]
  /** Standard error so far. */
  stderr(): string
  /** Resolves to the first line that it is true for, one that has come already or a later one. */
  waitForLine(predicate: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>
  /** Where it serves; resolves once it does. */
  url(): Promise<string>
  exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  /** SIGTERM, and SIGKILL where that does not end it within the time; resolves to its exit code. */
  stop(timeoutMs?: number): Promise<number | null>
}

export function startServiceProcess(env: Record<string, string>): ServiceProcess {
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts'], {
    cwd: root,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, PORT: '0', ADDRESS_POLICY: 'loopback', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: Record<string, unknown>[] = []
  const watchers = new Set<() => void>()
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(JSON.parse(line) as Record<string, unknown>)
    for (const check of watchers) check()
  })
  const exit = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
  }))

  const waitForLine: ServiceProcess['waitForLine'] = (predicate) =>
    new Promise((resolve, reject) => {
      const end = (finish: () => void) => {
        clearTimeout(timer)
        watchers.delete(check)
        finish()
      }
      const check = () => {
        const found = lines.find(predicate)
        if (found !== undefined) end(() => resolve(found))
      }
      const fail = (why: string) =>
        end(() =>
          reject(new Error(`${why}; its log:\n${lines.map((l) => JSON.stringify(l)).join('\n')}\n${stderr}`)),
        )
      const timer = setTimeout(() => fail('the line did not come within 30 s'), 30_000)
      void exit.then(({ code }) => fail(`the service ended with ${code} first`))
      watchers.add(check)
      check()
    })

  return {
    child,
    lines,
    stderr: () => stderr,
    waitForLine,
    url: async () => (await waitForLine((line) => line.msg === 'serving')).url as string,
    exit,
    async stop(timeoutMs = 20_000) {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
      const { code } = await exit
      clearTimeout(timer)
      return code
    },
  }
}
