import { fork } from 'node:child_process'
import { basename, resolve } from 'node:path'
import type { Guard } from './guard.ts'

/** A process of its own that runs one of our files. */
export interface Child {
  pid: number
  /** @throws where it ended by itself */
  assertRunning(): void
  /** Sends a message and resolves to the next one that comes back. */
  ask<Answer>(message: unknown, timeoutMs: number): Promise<Answer>
  /**
   * SIGTERM, and SIGKILL after `STOP_MS`. Safe twice.
   * @throws where it had ended before, or ends with another code than 0
   */
  stop(): Promise<void>
}

export interface ChildOptions {
  env?: Record<string, string>
  nodeFlags?: string[]
  /** A file of this repository that the process loads before its own. */
  preload?: string
  guard: Guard
}

const STOP_MS = 25_000
const root = resolve(import.meta.dirname, '../..')

/** Starts `file` (of this repository) under tsx; what it logs on standard output goes to /dev/null. */
export async function startChild(
  file: string,
  { env = {}, nodeFlags = [], preload, guard }: ChildOptions,
): Promise<Child> {
  const child = fork(resolve(root, file), [], {
    cwd: root,
    execArgv: [...nodeFlags, '--import', 'tsx', ...(preload ? ['--import', resolve(root, preload)] : [])],
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-2_000)))
  let ended: string | undefined
  const exited = new Promise<void>((done) => {
    child.once('exit', (code, signal) => {
      ended = signal ?? String(code)
      done()
    })
    child.once('error', (error) => {
      ended = error.message
      done()
    })
  })
  const failure = (what: string) => new Error(`${basename(file)} ${what} (${ended ?? 'running'})\n${said}`)
  const pid = child.pid
  if (pid === undefined) {
    await exited
    throw failure('did not start')
  }
  await guard.watch(pid, 'SIGTERM')

  let expected: Promise<void> | undefined
  const stop = async () => {
    if (ended !== undefined) throw failure('ended unexpectedly')
    child.kill('SIGTERM')
    const kill = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
    await exited
    clearTimeout(kill)
    await guard.forget(pid)
    if (ended !== '0') throw failure('did not stop well')
  }
  return {
    pid,
    assertRunning() {
      if (ended !== undefined) throw failure('ended unexpectedly')
    },
    ask<Answer>(message: unknown, timeoutMs: number) {
      return new Promise<Answer>((done, reject) => {
        const settle = (act: () => void) => {
          clearTimeout(timer)
          child.off('message', answered)
          act()
        }
        const answered = (answer: unknown) => settle(() => done(answer as Answer))
        const timer = setTimeout(
          () => settle(() => reject(failure(`did not answer within ${timeoutMs} ms`))),
          timeoutMs,
        )
        child.once('message', answered)
        void exited.then(() => settle(() => reject(failure('ended unexpectedly'))))
        child.send(message as object)
      })
    },
    stop: () => (expected ??= stop()),
  }
}
