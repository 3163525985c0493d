import { pino } from 'pino'
import { createPool } from '../../src/database/connection.ts'
import { createSender } from '../../src/delivery/send.ts'
import { Dispatcher, type DispatcherOptions } from '../../src/dispatch/dispatcher.ts'
import type { Log } from '../../src/observe/log.ts'
import type { TestDatabase } from './database.ts'

/** A log that keeps its lines, parsed. */
export function captureLog(): { log: Log; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = []
  const log = pino(
    { level: 'debug' },
    { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
  )
  return { log, lines }
}

export interface TestDispatcher {
  dispatcher: Dispatcher
  lines: Record<string, unknown>[]
  /** Stops it, and closes its pool and its sender. Safe twice. */
  stop(): Promise<void>
}

/** A dispatcher with a pool and a sender of its own, as a process has them; short waits before retries. */
export function createTestDispatcher(
  db: TestDatabase,
  options: Partial<DispatcherOptions> & { databaseUrl?: string } = {},
): TestDispatcher {
  const { log, lines } = captureLog()
  const { databaseUrl = db.url, ...rest } = options
  const pool = createPool(databaseUrl, { maxConnections: 4, applicationName: 'test dispatcher' })
  const deliveryTimeoutMs = options.deliveryTimeoutMs ?? 2_000
  const sender = createSender({ timeoutMs: deliveryTimeoutMs, version: 'test', maxSockets: 256 })
  const dispatcher = new Dispatcher({
    db: pool,
    listenUrl: databaseUrl,
    sender,
    log,
    retrySchedule: [50, 100, 150],
    maxInFlight: 64,
    maxInFlightPerEndpoint: 64,
    leaseMs: 10_000,
    deliveryTimeoutMs,
    pollIntervalMs: 500,
    shutdownGraceMs: 5_000,
    ...rest,
  })
  let stopping: Promise<void> | undefined
  const stop = async () => {
    await dispatcher.stop()
    await sender.close()
    await pool.end()
  }
  return { dispatcher, lines, stop: () => (stopping ??= stop()) }
}
