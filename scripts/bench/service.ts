import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { sleepLockClass } from '../../db/capture.ts'
import type { CaseContext } from './case.ts'
import { startChild, type Child } from './child.ts'
import type { Receipt, ReceiverMessage } from './children/receiver.ts'

/** Deliveries under way at once, over all and to the one receiver; the ceiling runs at the same. */
export const IN_FLIGHT = 256

export interface Receiver {
  pid: number
  url: string
  /** What came since the last time, in order. */
  take(): Promise<Receipt[]>
  stop(): Promise<void>
}

export async function startReceiver({ stage }: CaseContext): Promise<Receiver> {
  const child = await startChild('scripts/bench/children/receiver.ts', { guard: stage.guard })
  const ask = <Answer>(message: ReceiverMessage) => child.ask<Answer>(message, 30_000)
  const port = await ask<number>('port')
  return {
    pid: child.pid,
    url: `http://127.0.0.1:${port}/hook`,
    take: () => ask<Receipt[]>('take'),
    stop: () => child.stop(),
  }
}

/** The service as one dispatcher process on the database, that has fallen asleep. */
export async function startDispatcher(
  context: CaseContext,
  databaseUrl: string,
  db: pg.Client,
): Promise<Child> {
  const { profile } = context.options
  const child = await startChild('src/main.ts', {
    guard: context.stage.guard,
    nodeFlags: profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`],
    env: {
      DATABASE_URL: databaseUrl,
      ROLE: 'dispatcher',
      HOST: '127.0.0.1',
      PORT: '0',
      LOG_LEVEL: 'info',
      ADDRESS_POLICY: 'loopback',
      MAX_IN_FLIGHT: String(IN_FLIGHT),
      MAX_IN_FLIGHT_PER_ENDPOINT: String(IN_FLIGHT),
    },
  })
  await until(child, 30_000, 'the dispatcher sleeps', () => isAsleep(db))
  return child
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

async function until(
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
