import { fork } from 'node:child_process'
import { join } from 'node:path'

/** What the guard does when this process is gone, however it went, or has lived too long. */
export type GuardOrder =
  | { watch: number; signal: NodeJS.Signals }
  | { forget: number }
  | { removeAtEnd: string }
  | { endAfterMs: number; parent: number }

/** A process that ends by their ids what this one started (Postgres is outside of our process group, by design). */
export interface Guard {
  watch(pid: number, signal: NodeJS.Signals): Promise<void>
  forget(pid: number): Promise<void>
  removeAtEnd(directory: string): Promise<void>
}

/** @param lifetimeMs after which the guard ends this process too */
export async function startGuard(lifetimeMs: number): Promise<Guard> {
  const child = fork(join(import.meta.dirname, 'children/guard.ts'), [], {
    execArgv: ['--import', 'tsx'],
    // Ctrl-C reaches the whole process group, and the guard is what must survive it.
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const order = (message: GuardOrder) =>
    new Promise<void>((done, reject) => {
      child.send(message, (error) => (error ? reject(error) : done()))
    })
  await new Promise<void>((ready, reject) => {
    child.once('message', () => ready())
    child.once('exit', (code) => reject(new Error(`the guard did not start (${code})`)))
  })
  await order({ endAfterMs: lifetimeMs, parent: process.pid })
  child.unref()
  child.channel?.unref()
  return {
    watch: (pid, signal) => order({ watch: pid, signal }),
    forget: (pid) => order({ forget: pid }),
    removeAtEnd: (directory) => order({ removeAtEnd: directory }),
  }
}
