import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'
import { sleepLockClass } from '../../../db/capture.ts'
import { createPool } from '../../../src/database/connection.ts'
import { onCleanup } from '../../support/cleanup.ts'
import { eventually } from '../../support/eventually.ts'
import { runDirectory } from '../../support/server.ts'
import { type ServiceProcess, startProcess } from './dispatcher.ts'
import { Journal } from './journal.ts'
import { checkLedger, type LedgerFigures, type LedgerOptions, untilNothingIsOwed } from './ledger.ts'
import type { FaultServer } from './postgres.ts'
import { createApiProducer } from './api-producer.ts'
import { createProducer, type Note, type Producer } from './producer.ts'
import { createProxy, type Proxy } from './proxy.ts'
import { createRandom, type Random, seedOfRun } from './random.ts'
import {
  type Behaviour,
  createJournalingReceiver,
  type JournalingReceiver,
  type Received,
} from './receiver.ts'

export const TIMEOUT_MS = 2_000
/** The least that the service accepts for that timeout. */
export const LEASE_MS = 4_000
export const POLL_MS = 1_000
/** Of one dispatcher. */
export const MAX_IN_FLIGHT = 64
const RETRIES = '200ms,400ms,800ms'

/** Everything that a fault test is made of; all of it is gone when the test is over. */
export interface World {
  server: FaultServer
  random: Random
  databaseUrl: string
  query<Row extends pg.QueryResultRow = Record<string, unknown>>(
    text: string,
    values?: unknown[],
  ): Promise<Row[]>
  receiver(behaviour?: Behaviour): Promise<JournalingReceiver>
  /** Its changes' webhooks go to these receivers in turn. */
  producer(...receivers: Pick<JournalingReceiver, 'url'>[]): Producer
  /** A dispatcher of this service (ROLE=dispatcher), which works when this resolves. */
  dispatcher(options?: DispatcherOptions): Promise<ServiceProcess>
  /** The API (ROLE=api); resolves once it listens. */
  api(): Promise<Api>
  /** Changes tasks by PATCH; `api` says where, at each change. */
  apiProducer(api: () => Api, ...receivers: Pick<JournalingReceiver, 'url'>[]): Pick<Producer, 'commit'>
  /** In front of Postgres. */
  proxy(): Promise<Proxy>
  /** kill -9, noting what it held: only that may be delivered twice. Resolves to how many deliveries that were. */
  kill(dispatcher: ServiceProcess): Promise<number>
  /** Deliveries that a dispatcher holds at this moment. */
  held(dispatcher: ServiceProcess): Promise<number>
  /** Resolves once nothing is owed. */
  settled(): Promise<void>
  /** Resolves once a dispatcher sleeps: from then on captures notify. */
  asleep(): Promise<void>
  /** Resolves once no dispatcher holds the lock under which captures notify. */
  nobodySleeps(): Promise<void>
  /** What is in flight with `dispatcher` now may lose its lease, by a fault that is no kill. */
  mayLoseLeases(count: number): void
  /** I1 to I7. @throws with every difference */
  ledger(options?: Partial<Omit<LedgerOptions, 'db' | 'journal' | 'log'>>): Promise<LedgerFigures>
  /** Notes of the producers, for a test that makes changes of its own. */
  log: Journal<Note>
  /** Prints a figure. */
  measured(what: string, ms: number): void
}

export type Api = ServiceProcess & { url: string }

export interface DispatcherOptions {
  env?: Record<string, string>
  /** See failing-dispatcher.ts. */
  failpoint?: Record<string, string>
  /** The wall clock of the process is wrong by so much. */
  clockShiftMs?: number
  /** Where it listens, if not directly at Postgres; `database` puts its pool behind the proxy, too. */
  listenThrough?: Proxy
  databaseThrough?: Proxy
  /** Resolve at once, and not when it works. */
  unready?: boolean
}

/** A test's context, or what a script has in its place. */
export interface Owner {
  diagnostic(message: string): void
  after(run: () => Promise<void>): void
}

export async function createWorld(t: Owner, server: FaultServer, seed = seedOfRun()): Promise<World> {
  const random = createRandom(seed)
  t.diagnostic(`seed ${random.seed}: FAULT_SEED=${random.seed} replays its choices`)
  await server.start()
  const directory = await runDirectory()
  onCleanup(t, () => rm(directory, { recursive: true, force: true }))
  const database = await server.createDatabase()
  onCleanup(t, async () => {
    await server.start()
    await database.drop()
  })
  const journal = await Journal.open<Received>(join(directory, 'received'))
  onCleanup(t, () => journal.close())
  const log = await Journal.open<Note>(join(directory, 'committed'))
  onCleanup(t, () => log.close())
  const pool = createPool(database.url, { applicationName: 'faults test', queryTimeoutMs: 30_000 })
  pool.on('connect', (client) => client.on('error', () => undefined))
  onCleanup(t, () => pool.end())

  let lostLeasesAtMost = 0
  let processes = 0
  const query = async <Row extends pg.QueryResultRow>(text: string, values?: unknown[]) =>
    (await pool.query<Row>(text, values)).rows
  const held = async (dispatcher: ServiceProcess) => {
    const [row] = await query<{ count: number }>(
      `select count(*)::integer from webhook_outbox o join witness_lease l on l.event_id = o.event_id and l.token = o.lease_token where holder = $1`,
      [dispatcher.name],
    )
    return row!.count
  }

  const start = (role: 'dispatcher' | 'api', options: DispatcherOptions) => {
    const name = `${role} ${++processes}`
    const url = options.databaseThrough?.through(database.url) ?? database.url
    const dispatcher = startProcess({
      name,
      entry: join(import.meta.dirname, options.failpoint ? 'failing-dispatcher.ts' : '../../../src/main.ts'),
      preload: options.clockShiftMs === undefined ? [] : [join(import.meta.dirname, 'clock-shift.ts')],
      env: {
        DATABASE_URL: named(url, name),
        LISTEN_DATABASE_URL: options.listenThrough?.through(database.url) ?? database.url,
        ROLE: role,
        PORT: '0',
        ADDRESS_POLICY: 'loopback',
        DELIVERY_TIMEOUT: `${TIMEOUT_MS}ms`,
        LEASE: `${LEASE_MS}ms`,
        POLL_INTERVAL: `${POLL_MS}ms`,
        RETRY_SCHEDULE: RETRIES,
        MAX_IN_FLIGHT: String(MAX_IN_FLIGHT),
        MAX_IN_FLIGHT_PER_ENDPOINT: String(MAX_IN_FLIGHT),
        ...(options.clockShiftMs === undefined ? {} : { CLOCK_SHIFT_MS: String(options.clockShiftMs) }),
        ...options.failpoint,
        ...options.env,
      },
    })
    // A stopped process gets no other signal.
    onCleanup(t, () => dispatcher.kill())
    return dispatcher
  }

  const producer = (...receivers: Pick<JournalingReceiver, 'url'>[]) => {
    const webhookUrls = receivers.map((receiver) => receiver.url())
    const created = createProducer({ databaseUrl: database.url, log, webhookUrls })
    onCleanup(t, () => created.close())
    return created
  }

  return {
    server,
    random,
    databaseUrl: database.url,
    query,
    log,
    held,
    settled: () => untilNothingIsOwed({ query }, 20_000),
    asleep: () =>
      eventually(async () => assert.ok(await holdsSleepLock(query)), { description: 'a dispatcher sleeps' }),
    nobodySleeps: () =>
      eventually(async () => assert.ok(!(await holdsSleepLock(query))), {
        description: 'no dispatcher asks to be notified',
      }),
    async receiver(behaviour) {
      const receiver = await createJournalingReceiver(journal, behaviour)
      onCleanup(t, () => {
        receiver.release()
        return receiver.close()
      })
      // Known as quick: what few slots a new endpoint has at first is no matter of these tests.
      await query(
        `insert into webhook_endpoints (id, url, slots, slow) values (md5($1)::uuid, $1, 1000, false)
         on conflict do nothing`,
        [receiver.url()],
      )
      return receiver
    },
    producer,
    apiProducer: (api, ...receivers) =>
      createApiProducer({ url: () => api().url, prepare: producer(...receivers).prepare, log }),
    async dispatcher(options = {}) {
      const dispatcher = start('dispatcher', options)
      if (!options.unready) await dispatcher.waitForLine((line) => line.msg === 'dispatching')
      return dispatcher
    },
    async api() {
      const api = start('api', {})
      const line = await api.waitForLine((l) => l.msg === 'serving')
      return Object.assign(api, { url: String(line['url']) })
    },
    async proxy() {
      const proxy = await createProxy(server.port)
      onCleanup(t, () => proxy.close())
      return proxy
    },
    async kill(dispatcher) {
      await dispatcher.kill()
      const count = await held(dispatcher).catch(() => MAX_IN_FLIGHT)
      lostLeasesAtMost += count
      return count
    },
    mayLoseLeases: (count) => void (lostLeasesAtMost += count),
    async ledger(options = {}) {
      const figures = await checkLedger({
        db: { query },
        journal,
        log,
        withinMs: LEASE_MS + 10_000,
        lostLeasesAtMost,
        ...options,
      })
      t.diagnostic(`ledger: ${JSON.stringify(figures)}`)
      return figures
    },
    measured: (what, ms) => t.diagnostic(`measured: ${what}: ${Math.round(ms)} ms`),
  }
}

function named(url: string, applicationName: string): string {
  const changed = new URL(url)
  changed.searchParams.set('application_name', applicationName)
  return changed.href
}

async function holdsSleepLock(query: World['query']): Promise<boolean> {
  const locks = await query(
    `select from pg_locks where locktype = 'advisory' and classid = $1 and mode = 'ExclusiveLock' and granted`,
    [sleepLockClass],
  )
  return locks.length > 0
}
