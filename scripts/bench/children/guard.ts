/** The process behind ../guard.ts: waits until its parent is gone, then ends what is left of it. */
import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { GuardOrder } from '../guard.ts'

const PATIENCE_MS = 10_000
const watched = new Map<number, NodeJS.Signals>()
const directories: string[] = []

process.on('message', (order: GuardOrder) => {
  if ('watch' in order) watched.set(order.watch, order.signal)
  else if ('forget' in order) watched.delete(order.forget)
  else if ('removeAtEnd' in order) directories.push(order.removeAtEnd)
  else {
    setTimeout(() => {
      process.stderr.write(`the bench took longer than ${order.endAfterMs} ms, and is ended\n`)
      kill(order.parent, 'SIGTERM')
    }, order.endAfterMs)
  }
})
process.on('disconnect', () => void clean().then(() => process.exit(0)))
process.send?.('ready')

async function clean(): Promise<void> {
  for (const [pid, signal] of watched) kill(pid, signal)
  const deadline = performance.now() + PATIENCE_MS
  while ([...watched.keys()].some(isAlive) && performance.now() < deadline) await sleep(50)
  for (const pid of watched.keys()) kill(pid, 'SIGKILL')
  for (const directory of directories) await rm(directory, { recursive: true, force: true, maxRetries: 3 })
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It is gone already.
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
