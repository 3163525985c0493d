import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { sleepLockClass } from '../../db/capture.ts'
import type { CaseContext } from './case.ts'
import { startChild, type Child } from './child.ts'
import type { ProbeMessage } from './children/probe.ts'
import type { Receipt, ReceiverMessage } from './children/receiver.ts'

/** Deliveries under way at once, over all and, unless said otherwise, to one endpoint; the ceiling runs at the same. */
export const IN_FLIGHT = 256

export interface Receiver {
  pid: number
  url: string
  /** One an origin. */
  ports: number[]
  /** URLs of so many endpoints: paths, spread over its ports. */
  urls(count: number): string[]
  /** What came since the last time, in order. */
  take(): Promise<Receipt[]>
  /** How much there is to take. */
  count(): Promise<number>
  /** How it answers from now on, null for never; what is under way is cut. */
  answerAfter(ms: number | null): Promise<void>
  /** Whether it refuses connections. */
  setDown(down: boolean): Promise<void>
  stop(): Promise<void>
}

/** One that answers at once. */
export async function startReceiver({ stage }: CaseContext, portCount = 1): Promise<Receiver> {
  const child = await startChild('scripts/bench/children/receiver.ts', { guard: stage.guard })
  const ask = <Answer>(message: ReceiverMessage) => child.ask<Answer>(message, 30_000)
  const ports = await ask<number[]>({ listen: portCount })
  return {
    pid: child.pid,
    url: `http://127.0.0.1:${ports[0]}/hook`,
    ports,
    urls: (count) =>
      Array.from({ length: count }, (_, n) => `http://127.0.0.1:${ports[n % ports.length]}/hook/${n}`),
    take: () => ask<Receipt[]>('take'),
    count: () => ask<number>('count'),
    answerAfter: (answerAfterMs) => ask({ answerAfterMs }),
    setDown: (down) => ask({ down }),
    stop: () => child.stop(),
  }
}

/** Settings with which the limit of an endpoint is the default, and not that of the whole dispatcher. */
export const defaultLimits = { MAX_IN_FLIGHT_PER_ENDPOINT: '16' }

/**
 * The service as one dispatcher process on the database, that has fallen asleep.
 * @param settings variables of its environment that are not as in `drain`
 */
export async function startDispatcher(
  context: CaseContext,
  databaseUrl: string,
  db: pg.Client,
  settings: Record<string, string> = {},
  { profile = context.options.profile }: { profile?: string | undefined } = {},
): Promise<Child> {
  const child = await startChild('src/main.ts', {
    guard: context.stage.guard,
    nodeFlags: ['--expose-gc', ...(profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`])],
    preload: 'scripts/bench/children/probe.ts',
    env: {
      DATABASE_URL: databaseUrl,
      ROLE: 'dispatcher',
      HOST: '127.0.0.1',
      PORT: '0',
      LOG_LEVEL: 'info',
      ADDRESS_POLICY: 'loopback',
      MAX_IN_FLIGHT: String(IN_FLIGHT),
      MAX_IN_FLIGHT_PER_ENDPOINT: String(IN_FLIGHT),
      ...settings,
    },
  })
  await until(child, 30_000, 'the dispatcher sleeps', () => isAsleep(db))
  return child
}

/** Milliseconds of each claim that took something since the last time, round trip included. */
export function takeClaims(dispatcher: Child): Promise<number[]> {
  return dispatcher.ask<number[]>('claims' satisfies ProbeMessage, 30_000)
}

/** Bytes of memory of the process as it runs. */
export function residentBytes(dispatcher: Child): Promise<number> {
  return dispatcher.ask<number>('resident' satisfies ProbeMessage, 30_000)
}

/** The same after a collection that has given back all that is free: what grows here leaks. */
export function heldBytes(dispatcher: Child): Promise<number> {
  return dispatcher.ask<number>('held' satisfies ProbeMessage, 30_000)
}

/** Whether a dispatcher holds the sleep lock (db/capture.ts), so that writers notify. */
export async function isAsleep(db: pg.Client): Promise<boolean> {
  const { rows } = await db.query<{ asleep: boolean }>(
    `select exists (
       select from pg_locks where locktype = 'advisory' and classid = $1 and mode = 'ExclusiveLock' and granted
         and database = (select oid from pg_database where datname = current_database())
     ) as asleep`,
    [sleepLockClass],
  )
  return rows[0]?.asleep === true
}

/** Waits until nothing is owed any more. */
export function untilSettled(dispatcher: Child, db: pg.Client, timeoutMs: number): Promise<void> {
  return until(dispatcher, timeoutMs, 'everything is settled', async () => {
    const { rows } = await db.query<{ owed: boolean }>('select exists (select from webhook_outbox) as owed')
    return rows[0]?.owed === false
  })
}

/** Looks ten times a second. */
export async function until(
  child: Child,
  timeoutMs: number,
  what: string,
  holds: () => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await holds())) {
    child.assertRunning()
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await sleep(100)
  }
}
