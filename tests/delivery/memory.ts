import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { MemoryOrder, MemoryResult } from './memory-child.ts'

export interface MeasuredSender {
  /** Makes exchanges from another process, and says what they came to. */
  measure(order: MemoryOrder): Promise<MemoryResult>
  close(): void
}

/** A sender in a process of its own, whose garbage is collected early. */
export async function startMeasuredSender(): Promise<MeasuredSender> {
  const child = fork(join(import.meta.dirname, 'memory-child.ts'), {
    execArgv: ['--import', 'tsx', '--max-semi-space-size=2', '--expose-gc'],
  })
  await once(child, 'spawn')
  return {
    async measure(order) {
      const over = new AbortController()
      const died = once(child, 'exit', { signal: over.signal }).then(([code]) => {
        throw new Error(`the sender's process ended with ${String(code)}`)
      })
      child.send(order)
      try {
        const [result] = (await Promise.race([once(child, 'message', over), died])) as [MemoryResult]
        const exchanges = result.exchanges.map((one) => ({ ...one, startedAt: new Date(one.startedAt) }))
        return { ...result, exchanges }
      } finally {
        died.catch(() => undefined)
        over.abort()
      }
    },
    close: () => child.disconnect(),
  }
}
