import { setTimeout as sleep } from 'node:timers/promises'
import { isConnectionLoss, type Producer } from './producer.ts'
import type { Random } from './random.ts'

/** Steady changes until it is stopped; a database that is away is waited for. */
export interface Load {
  stop(): Promise<void>
}

export interface LoadOptions {
  random: Random
  /** Milliseconds between two changes of one producer, on average. */
  everyMs: number
}

/** Each of `changes` is made again and again, side by side. */
export function startLoad(changes: (() => Promise<unknown>)[], { random, everyMs }: LoadOptions): Load {
  let stopping = false
  const run = async (change: () => Promise<unknown>) => {
    while (!stopping) {
      await change().catch((error: unknown) => {
        if (!isConnectionLoss(error)) throw error
      })
      await sleep(everyMs * (0.5 + random.next()))
    }
  }
  const running = Promise.all(changes.map(run))
  // Its failure is reported by `stop`.
  running.catch(() => undefined)
  return {
    stop: async () => {
      stopping = true
      await running
    },
  }
}

/** One change, of any kind. */
export function anyChange(producer: Producer, random: Random): () => Promise<unknown> {
  return () =>
    random.pick([
      () => producer.commit(),
      () => producer.commit(3),
      () => producer.commitInBulk(random.between(2, 20)),
      () => producer.commitWithSavepoint(2),
      () => producer.rollBack(2),
    ])()
}
