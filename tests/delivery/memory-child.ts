/**
 * A process that only sends, so that its memory is what receivers cost: run by memory.ts. The most that it held is the
 * kernel's figure, not a sample.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { createSender } from '../../src/delivery/send.ts'
import type { Exchange } from '../../src/delivery/exchange.ts'
import { localhost } from './certificates.ts'
import { deliveryTo } from './receivers.ts'

export interface MemoryOrder {
  url: string
  /** Exchanges at once. */
  count: number
  timeoutMs: number
}

export interface MemoryResult {
  exchanges: Exchange[]
  /** How much more memory it held at any time than before. */
  grewBytes: number
  /** Milliseconds of processor time that these exchanges cost. */
  cpuMs: number
}

setDefaultCACertificates([...getCACertificates('default'), localhost.cert])
const sender = createSender({ timeoutMs: 5_000, version: '1.2.3', maxSockets: 64 })

async function run({ url, count, timeoutMs }: MemoryOrder): Promise<MemoryResult> {
  globalThis.gc?.()
  forgetMost()
  const rssBefore = process.memoryUsage.rss()
  const before = process.cpuUsage()
  const exchanges = await Promise.all(
    Array.from({ length: count }, () => sender.send(deliveryTo(url, { timeoutMs }))),
  )
  const { user, system } = process.cpuUsage(before)
  return { exchanges, grewBytes: mostBytes() - rssBefore, cpuMs: (user + system) / 1000 }
}

/** See proc_pid_clear_refs(5). Elsewhere than on Linux the most counts from the start of the process. */
function forgetMost(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5')
  } catch {
    // Not Linux.
  }
}

function mostBytes(): number {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) * 1024
  } catch {
    return process.resourceUsage().maxRSS * 1024
  }
}

process.on('message', (order: MemoryOrder) => void run(order).then((result) => process.send?.(result)))
process.on('disconnect', () => process.exit(0))
