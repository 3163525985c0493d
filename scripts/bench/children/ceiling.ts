/**
 * The ceiling of a drain: the service's own send function in a loop, at the same concurrency, without a database, a log
 * or a claim.
 */
import { randomUUID } from 'node:crypto'
import { createSender } from '../../../src/delivery/send.ts'
import { wallMs } from '../clock.ts'

export interface CeilingOrder {
  url: string
  payload: string
  count: number
  concurrency: number
}

/** When it began and ended, by the wall clock, and how many were not answered by 200. */
export interface CeilingResult {
  beganAt: number
  endedAt: number
  failed: number
}

const sender = createSender({ timeoutMs: 10_000, version: 'bench', maxSockets: 256 })

async function run({ url, payload, count, concurrency }: CeilingOrder): Promise<CeilingResult> {
  const beganAt = wallMs()
  let left = count
  let failed = 0
  const worker = async () => {
    while (left > 0) {
      left -= 1
      const exchange = await sender.send({ url, payload, eventId: randomUUID(), attempt: 1 })
      if (exchange.kind !== 'answered' || exchange.status !== 200) failed += 1
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return { beganAt, endedAt: wallMs(), failed }
}

process.on('message', (order: CeilingOrder) => void run(order).then((result) => process.send?.(result)))
process.on('SIGTERM', () => process.exit(0))
process.on('disconnect', () => process.exit(0))
