import type pg from 'pg'
import type { Case, CaseContext } from '../case.ts'
import { startChild, type Child } from '../child.ts'
import type { CeilingOrder, CeilingResult } from '../children/ceiling.ts'
import { wallMs } from '../clock.ts'
import { cpuMicroseconds } from '../cpu-time.ts'
import { medianRow, type Measured } from '../report.ts'
import { IN_FLIGHT, startDispatcher, startReceiver, untilSettled, type Receiver } from '../service.ts'
import { connect } from '../stage.ts'
import { completeTasks, deliveredOnce, seedTasks } from '../tasks.ts'

interface Parts {
  context: CaseContext
  db: pg.Client
  receiver: Receiver
  dispatcher: Child
  ceiling: Child
}

interface Round {
  /** Deliveries, or sends, a second. */
  rate: number
  /** Microseconds of processor time each, by who used them. */
  cpu: Record<string, number | null>
}

const TIMEOUT_MS = 120_000

/**
 * A backlog that one commit makes visible at once, until the last of it is settled; alternated with the ceiling. Both
 * processes stay the same in all rounds and are warm before the first.
 */
export const drain: Case = {
  name: 'drain',
  summary: 'deliveries a second out of a backlog, against sends without a database',
  async run(context) {
    const { rounds, quick } = context.options
    const count = quick ? 2_000 : 20_000
    const url = await context.stage.createDatabase('drain')
    const db = await connect(url)
    const receiver = await startReceiver(context)
    const dispatcher = await startDispatcher(context, url, db)
    const ceiling = await startChild('scripts/bench/children/ceiling.ts', { guard: context.stage.guard })
    const parts = { context, db, receiver, dispatcher, ceiling }
    await drainOnce(parts, 'warm-up', 4_000)
    await ceilingOnce(parts, 4_000)

    const drains: Round[] = []
    const ceilings: Round[] = []
    for (let round = 1; round <= rounds; round++) {
      drains.push(await drainOnce(parts, `round-${round}`, count))
      ceilings.push(await ceilingOnce(parts, count))
      context.say(
        `round ${round}: ${drains.at(-1)!.rate.toFixed(0)} of ${ceilings.at(-1)!.rate.toFixed(0)}/s`,
      )
    }
    await dispatcher.stop()
    await Promise.all([receiver.stop(), ceiling.stop(), db.end()])

    return [
      medianRow(
        `deliveries of a backlog of ${count}`,
        drains.map((r) => r.rate),
        '/s',
      ),
      medianRow(
        'ceiling: sends without a database',
        ceilings.map((r) => r.rate),
        '/s',
      ),
      medianRow(
        'ratio',
        drains.map((r, i) => r.rate / ceilings[i]!.rate),
        '',
      ),
      ...cpuRows('delivery', drains),
      ...cpuRows('send', ceilings),
    ]
  },
}

async function drainOnce(parts: Parts, ticket: string, count: number): Promise<Round> {
  const { context, db, receiver, dispatcher } = parts
  await seedTasks(db, ticket, receiver.url, count)
  await db.query('begin')
  await db.query(`${completeTasks} ticket_id = $1`, [ticket])
  const cpu = cpuMeter({
    dispatcher: () => cpuMicroseconds(dispatcher.pid),
    Postgres: () => context.stage.postgresCpu(),
    receiver: () => cpuMicroseconds(receiver.pid),
  })
  await db.query('commit')
  const committedAt = wallMs()
  await untilSettled(dispatcher, db, TIMEOUT_MS)
  const used = cpu(count)
  const delivered = await deliveredOnce(db, ticket, count, await receiver.take())
  const settledAt = delivered.reduce((latest, event) => Math.max(latest, event.settledAt), 0)
  return { rate: (count * 1_000) / (settledAt - committedAt), cpu: used }
}

async function ceilingOnce({ db, receiver, ceiling }: Parts, count: number): Promise<Round> {
  const { rows } = await db.query<{ payload: string }>(
    'select payload::text as payload from webhook_history limit 1',
  )
  const order: CeilingOrder = {
    url: receiver.url,
    payload: rows[0]!.payload,
    count,
    concurrency: IN_FLIGHT,
  }
  const cpu = cpuMeter({
    sender: () => cpuMicroseconds(ceiling.pid),
    receiver: () => cpuMicroseconds(receiver.pid),
  })
  const { beganAt, endedAt, failed } = await ceiling.ask<CeilingResult>(order, TIMEOUT_MS)
  const used = cpu(count)
  const received = (await receiver.take()).length
  if (failed > 0 || received !== count) {
    throw new Error(`wrong result: of ${count} sends ${failed} failed, and ${received} arrived`)
  }
  return { rate: (count * 1_000) / (endedAt - beganAt), cpu: used }
}

/** Begins to count; the function that it returns says how much each has used since, for one of `count`. */
function cpuMeter(meters: Record<string, () => number | null>): (count: number) => Round['cpu'] {
  const before = Object.entries(meters).map(([name, read]) => ({ name, read, start: read() }))
  return (count) =>
    Object.fromEntries(
      before.map(({ name, read, start }) => {
        const end = read()
        return [name, start === null || end === null ? null : (end - start) / count]
      }),
    )
}

function cpuRows(what: string, rounds: Round[]): Measured[] {
  return Object.keys(rounds[0]!.cpu).flatMap((who) => {
    const values = rounds.flatMap((round) => round.cpu[who] ?? [])
    return values.length === 0 ? [] : [medianRow(`processor time a ${what}: ${who}`, values, 'µs')]
  })
}
