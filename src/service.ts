import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { serve, type ServerType } from '@hono/node-server'
import type { Kysely } from 'kysely'
import { createApp } from './api/app.ts'
import type { Config } from './config.ts'
import { createPool, kyselyOver } from './database/connection.ts'
import { pendingMigrations, runMigrate } from './database/migrate.ts'
import type { Database } from './database/tables.ts'
import { createAddressPolicy } from './delivery/address-policy.ts'
import { createSender, type Sender } from './delivery/send.ts'
import { refuseAddresses } from './delivery/webhook-url.ts'
import { createStuckDetector } from './detection/stuck-detector.ts'
import { Dispatcher } from './dispatch/dispatcher.ts'
import { createExpirer } from './dispatch/expire.ts'
import { createPartitionKeeper } from './dispatch/partitions.ts'
import { createReconciler } from './dispatch/reconcile.ts'
import { createRecoverer } from './dispatch/recover.ts'
import { createInstallationGate } from './installation/gate.ts'
import { checkHealth } from './observe/health.ts'
import type { Log } from './observe/log.ts'
import type { DispatchMetrics } from './observe/metrics/dispatch-metrics.ts'
import { createMetrics } from './observe/metrics/metrics.ts'
import { createNotifyQueueWatch } from './observe/notify-queue.ts'
import { createBacklogCounter } from './operations/count-backlog.ts'
import { createOperationRunner } from './operations/runner.ts'
import { timerMs } from './timer.ts'
import { version } from './version.ts'

/** Everything one process runs, by its ROLE, wired together. */
export interface Service {
  /** Where the API listens, such as http://127.0.0.1:3000. */
  url: string
  /** Stops claiming, finishes or hands back what is under way, and closes all connections. Safe twice. */
  stop(): Promise<void>
}

interface Startable {
  start(): void
  stop(): Promise<void>
}

/** A configuration whose database is known: the embedded one has started by then. */
export type ServiceConfig = Config & { databaseUrl: string; listenDatabaseUrl: string }

const apiConnections = 10
// One claims, one settles, one reclaims. What else there is to do, and may take its time, cannot keep them waiting.
const dispatchConnections = 3
const upkeepConnections = 3

/** @throws where the port cannot be listened on */
export async function startService(config: ServiceConfig, log: Log): Promise<Service> {
  const apiPool = createPool(config.databaseUrl, {
    maxConnections: apiConnections,
    queryTimeoutMs: 10_000,
    applicationName: 'webhook-outbox api',
    onIdleError: logLost(log),
  })
  const db = kyselyOver(apiPool)
  const addresses = createAddressPolicy({
    policy: config.addressPolicy,
    allow: config.addressAllow,
    deny: config.addressDeny,
  })
  const sender = createSender({
    timeoutMs: config.deliveryTimeoutMs,
    version,
    maxSockets: config.maxInFlight,
    checkAddress: ({ ip }) => addresses.check(ip),
  })
  const dispatches = config.role !== 'api'
  const metrics = createMetrics({
    ...{ db, version, installation: config.installation },
    ...(dispatches ? { dispatcher: { maxInFlight: config.maxInFlight } } : {}),
  })
  const app = createApp({
    db,
    sender,
    config,
    log,
    version,
    health: () => checkHealth(db, config),
    metrics: () => metrics.scrape(),
    refuseUrl: refuseAddresses(addresses),
  })
  const server = await listen(app.fetch, config).catch(async (error: unknown) => {
    await sender.close()
    await db.destroy()
    throw error
  })

  const dispatch = dispatches
    ? startDispatch({ config, log, db, sender, metrics: metrics.dispatch })
    : undefined
  let stopping: Promise<void> | undefined
  const stop = async () => {
    const closed = closeServer(server)
    await dispatch?.stop()
    await closed
    await sender.close()
    await db.destroy()
  }
  return { url: urlOf(server, config.host), stop: () => (stopping ??= stop()) }
}

/**
 * Longer than the grace nobody waits for a stop by more than this: a connection that is half-open fails a query, and then the
 * end of its transaction, after 15 s each. What was under way Postgres rolls back, or a lease gives back.
 */
const stopMarginMs = 10_000

/** The dispatcher and its companions, as soon as the database is migrated. */
function startDispatch({
  config,
  log,
  db,
  sender,
  metrics,
}: {
  config: ServiceConfig
  log: Log
  db: Kysely<Database>
  sender: Sender
  metrics: DispatchMetrics | undefined
}): { stop(): Promise<void> } {
  const common = { queryTimeoutMs: 15_000, onIdleError: logLost(log) }
  const connect = (applicationName: string, maxConnections: number) =>
    createPool(config.databaseUrl, { ...common, maxConnections, applicationName })
  const pool = connect('webhook-outbox dispatcher', dispatchConnections)
  const upkeep = kyselyOver(connect('webhook-outbox upkeep', upkeepConnections))
  const { loop: gate, maySend } = createInstallationGate({ db: upkeep, log, name: config.installation })
  const parts: Startable[] = [
    gate,
    new Dispatcher({
      db: pool,
      listenUrl: config.listenDatabaseUrl,
      sender,
      log,
      metrics,
      retrySchedule: config.retrySchedule,
      maxInFlight: config.maxInFlight,
      maxInFlightPerEndpoint: config.maxInFlightPerEndpoint,
      leaseMs: config.leaseMs,
      deliveryTimeoutMs: config.deliveryTimeoutMs,
      pollIntervalMs: config.pollIntervalMs,
      shutdownGraceMs: config.shutdownGraceMs,
      maySend,
      operatorUrl: config.operatorWebhookUrl,
    }),
    createStuckDetector({
      db: upkeep,
      log,
      stuckAfterMs: config.agentStuckAfterMs,
      sweepIntervalMs: config.stuckSweepIntervalMs,
      maySend,
    }),
    createReconciler({ db: upkeep, log }),
    createExpirer({ db: upkeep, log, maxAgeMs: config.maxOwedAgeMs, maySend, metrics }),
    ...(config.recoverWindowMs > 0
      ? [createRecoverer({ db: upkeep, log, windowMs: config.recoverWindowMs, maySend })]
      : []),
    createPartitionKeeper({
      db: upkeep,
      log,
      retentionMs: config.retentionMs,
      deadRetentionMs: config.deadRetentionMs,
    }),
    createOperationRunner({ db: upkeep, log, maySend }),
    createBacklogCounter({ db: upkeep, log }),
    createNotifyQueueWatch({ db: upkeep, log }),
  ]
  const stopWaiting = new AbortController()
  const started = untilMigrated(db, log, stopWaiting.signal).then(async (migrated) => {
    if (!migrated) return
    // So that all begin with it; where it fails, it says so when it is started.
    await gate.runOnce().catch(() => undefined)
    for (const part of parts) part.start()
    log.info('dispatching')
  })
  return {
    async stop() {
      stopWaiting.abort()
      await started
      const stop = async () => {
        await Promise.all(parts.map((part) => part.stop()))
        await Promise.all([pool.end(), upkeep.destroy()])
      }
      await patiently(stop(), config.shutdownGraceMs + stopMarginMs)
    },
  }
}

/** Waits for it, and no longer than so many milliseconds. */
async function patiently(work: Promise<unknown>, ms: number): Promise<void> {
  await Promise.race([work, sleep(timerMs(ms), undefined, { ref: false })])
}

function logLost(log: Log): (error: Error) => void {
  return (error) => log.warn({ err: error }, 'an idle connection to Postgres was lost')
}

/** @returns false where the service stops first */
async function untilMigrated(db: Kysely<Database>, log: Log, signal: AbortSignal): Promise<boolean> {
  let said = ''
  while (!signal.aborted) {
    const state = await pendingMigrations(db).then(
      (pending) => (pending.length === 0 ? 'ready' : runMigrate(pending)),
      () => 'waiting for Postgres',
    )
    if (state === 'ready') return true
    if (state !== said) log.warn(state)
    said = state
    await sleep(1_000, undefined, { signal }).catch(() => undefined)
  }
  return false
}

function listen(fetch: Parameters<typeof serve>[0]['fetch'], { host, port }: Config): Promise<ServerType> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch, hostname: host, port }, () => {
      server.removeListener('error', reject)
      resolve(server)
    })
    server.once('error', reject)
  })
}

function closeServer(server: ServerType): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    if ('closeIdleConnections' in server) server.closeIdleConnections()
    // A client that keeps its connection busy does not hold up a shutdown.
    setTimeout(() => 'closeAllConnections' in server && server.closeAllConnections(), 2_000).unref()
  })
}

function urlOf(server: ServerType, host: string): string {
  const { port } = server.address() as AddressInfo
  return `http://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`
}
