import type pg from 'pg'
import { channel } from '../../db/capture.ts'
import { owe } from './backlog.ts'
import type { CaseContext } from './case.ts'
import { startChild, type Child } from './child.ts'
import type { CeilingOrder, CeilingResult } from './children/ceiling.ts'
import type { PgBossOrder } from './children/pg-boss.ts'
import type { SendKind } from './children/post.ts'
import type { Receipt } from './children/receiver.ts'
import { monotonicUs, wallMs } from './clock.ts'
import { type CpuByPart, cpuMeter } from './cpu-meter.ts'
import { cpuMicroseconds } from './cpu-time.ts'
import { addJobs, exampleBody, jobsFor, startGraphileWorker, startPgBoss } from './peers.ts'
import type { Run } from './rounds.ts'
import { IN_FLIGHT, startDispatcher, type Receiver, until, untilSettled } from './service.ts'
import { connect } from './stage.ts'
import { deliveredOnce, tidy } from './tasks.ts'

/**
 * Somebody who empties a backlog to one receiver. A run gives events a second, from the moment when all became
 * due until the last arrived, and fails unless each arrived once and nothing is left.
 */
export interface Drainer {
  run: Run
  /** One a run. */
  cpu: CpuByPart[]
  /** When each run began and ended, in microseconds of the monotonic clock. */
  spans: [beganAt: number, endedAt: number][]
  stop(): Promise<void>
}

/** The receiver is the one of all parties, and counts. */
export interface DrainOptions {
  context: CaseContext
  receiver: Receiver
  count: number
}

const TIMEOUT_MS = 240_000

/** The service: one commit makes visible what is owed, as that of captured changes does. */
export async function serviceDrainer({ context, receiver, count }: DrainOptions): Promise<Drainer> {
  const url = await context.stage.createDatabase('drain')
  const db = await connect(url)
  const dispatcher = await startDispatcher(context, url, db)
  return drainer(context, receiver, count, dispatcher, db, async (round) => {
    await tidy(db)
    await db.query('begin')
    await owe(db, { group: round, urls: [receiver.url], each: count })
    await db.query(`notify ${channel}`)
    return {
      begin: async () => void (await db.query('commit')),
      async end(receipts) {
        await untilSettled(dispatcher, db, TIMEOUT_MS)
        await deliveredOnce(db, round, count, receipts)
      },
    }
  })
}

/** The service's send function in a loop, at the same concurrency. */
export async function ceilingDrainer({ context, receiver, count }: DrainOptions): Promise<Drainer> {
  const child = await startChild('scripts/bench/children/ceiling.ts', { guard: context.stage.guard })
  return drainer(context, receiver, count, child, undefined, () => {
    const order: CeilingOrder = { url: receiver.url, payload: exampleBody, count, concurrency: IN_FLIGHT }
    let done: Promise<CeilingResult> | undefined
    return Promise.resolve({
      begin: () => {
        done = child.ask<CeilingResult>(order, TIMEOUT_MS)
        return Promise.resolve()
      },
      async end() {
        const { failed } = await done!
        if (failed > 0) throw new Error(`wrong result: of ${count} sends ${failed} failed`)
      },
    })
  })
}

/** graphile-worker: one commit of jobs makes the backlog visible. */
export async function graphileDrainer(
  { context, receiver, count }: DrainOptions,
  mode: 'batched' | 'plain',
  send: SendKind,
): Promise<Drainer> {
  const url = await context.stage.createDatabase(`drain_graphile_${mode}`)
  const db = await connect(url)
  const child = await startGraphileWorker(context, url, mode, send)
  return drainer(context, receiver, count, child, db, async () => {
    await tidy(db)
    await db.query('begin')
    await addJobs(db, { url: receiver.url, count, body: exampleBody })
    return {
      begin: async () => void (await db.query('commit')),
      end: () =>
        until(child, TIMEOUT_MS, 'no job is left', () => isEmpty(db, 'graphile_worker._private_jobs')),
    }
  })
}

/** pg-boss: its workers begin when all jobs are queued. */
export async function pgBossDrainer(
  { context, receiver, count }: DrainOptions,
  send: SendKind,
): Promise<Drainer> {
  const url = await context.stage.createDatabase('drain_pg_boss')
  const db = await connect(url)
  const child = await startPgBoss(context, url, send)
  const ask = (order: PgBossOrder) => child.ask<unknown>(order, TIMEOUT_MS)
  return drainer(context, receiver, count, child, db, async () => {
    const jobs = jobsFor(receiver.url, count)
    while (jobs.length > 0) await ask({ insert: jobs.splice(0, 5_000) })
    await tidy(db)
    return {
      begin: async () => void (await ask('work')),
      async end() {
        await until(child, TIMEOUT_MS, 'no job is left', () =>
          isEmpty(db, `pgboss.job where state < 'completed' and name = 'deliver'`),
        )
        await ask('rest')
      },
    }
  })
}

/** `begin` makes the backlog due; `end` waits until nothing is left, and checks what became of it. */
interface Prepared {
  begin: () => Promise<void>
  end: (receipts: Receipt[]) => Promise<void>
}

function drainer(
  context: CaseContext,
  receiver: Receiver,
  count: number,
  worker: Child,
  db: pg.Client | undefined,
  prepare: (round: string) => Promise<Prepared>,
): Drainer {
  const cpu: CpuByPart[] = []
  const spans: Drainer['spans'] = []
  const run: Run = async (round) => {
    const { begin, end } = await prepare(round)
    const used = cpuMeter({
      'the sending process': () => cpuMicroseconds(worker.pid),
      Postgres: () => (db === undefined ? null : context.stage.postgresCpu()),
      receiver: () => cpuMicroseconds(receiver.pid),
    })
    const beganUs = monotonicUs()
    await begin()
    const beganAt = wallMs()
    await until(worker, TIMEOUT_MS, `${count} arrived`, async () => (await receiver.count()) >= count)
    const receipts = await receiver.take()
    await end(receipts)
    cpu.push(used(count))
    spans.push([beganUs, monotonicUs()])
    if (receipts.length !== count || new Set(receipts.map(([id]) => id)).size !== count)
      throw new Error(`wrong result: ${receipts.length} receipts of ${count} events`)
    const lastAt = receipts.reduce((latest, [, receivedAt]) => Math.max(latest, receivedAt), 0)
    return (count * 1_000) / (lastAt - beganAt)
  }
  const stop = async () => {
    await worker.stop()
    await db?.end()
  }
  return { run, cpu, spans, stop }
}

async function isEmpty(db: pg.Client, what: string): Promise<boolean> {
  const { rows } = await db.query<{ some: boolean }>(`select exists (select from ${what}) as some`)
  return rows[0]?.some === false
}
