import type pg from 'pg'
import { arrivalRate, owe, pause } from '../backlog.ts'
import type { Case, CaseContext } from '../case.ts'
import type { Child } from '../child.ts'
import { medianRow } from '../report.ts'
import { alternate, ratios } from '../rounds.ts'
import { type Receiver, startDispatcher, startReceiver, takeClaims } from '../service.ts'
import { settleToday } from '../settled.ts'
import { connect } from '../stage.ts'
import { percentile } from '../statistics.ts'
import { tidy } from '../tasks.ts'

type Name = 'empty' | 'history' | 'waiting' | 'pinned'

interface Scene {
  url: string
  db: pg.Client
  dispatcher: Child
  /** Milliseconds, one a round. */
  claimP99: number[]
}

/** Each has a database and a dispatcher, so that all alternate while each keeps what it has grown. */
export const growth: Case = {
  name: 'growth',
  summary:
    'the drain and its claims with much history, many rows that wait, and a transaction that pins xmin',
  minutes: 40,
  async run(context) {
    const scale = context.options.quick ? 50 : 1
    const sizes = {
      count: 100_000 / (context.options.quick ? 20 : 1),
      history: 5_000_000 / scale,
      waiting: 1_000_000 / scale,
    }
    const receiver = await startReceiver(context)
    const scenes = {} as Record<Name, Scene>
    for (const name of ['empty', 'history', 'waiting', 'pinned'] as const) {
      scenes[name] = await prepare(context, name, receiver, sizes)
    }
    const run = (name: Name) => (round: string) =>
      measure(scenes[name], round, receiver, sizes.count, name === 'pinned')
    const rates = await alternate<Name>(
      context,
      { empty: run('empty'), history: run('history'), waiting: run('waiting'), pinned: run('pinned') },
      { unit: '/s' },
    )
    for (const { dispatcher, db } of Object.values(scenes)) {
      await dispatcher.stop()
      await db.end()
    }
    await receiver.stop()
    // That of the warm-up does not count.
    const p99 = (name: Name) => scenes[name].claimP99.slice(1)
    const against = (name: Name, what: string) => [
      medianRow(`rate with ${what} / empty`, ratios(rates[name], rates.empty), '', { atLeast: 0.85 }),
      medianRow(`claim's p99 with ${what} / empty`, ratios(p99(name), p99('empty')), '', { atMost: 1.5 }),
    ]
    return [
      medianRow(`${sizes.count} events, empty database`, rates.empty, '/s'),
      medianRow("claim's p99, empty database", p99('empty'), 'ms'),
      ...against('history', `${sizes.history} rows of history`),
      ...against('waiting', `${sizes.waiting} rows that wait`),
      ...against('pinned', 'a transaction that pins xmin'),
    ]
  },
}

async function prepare(
  context: CaseContext,
  name: Name,
  receiver: Receiver,
  sizes: { history: number; waiting: number },
): Promise<Scene> {
  const url = await context.stage.createDatabase(`growth_${name}`)
  const db = await connect(url)
  if (name === 'history') await settleToday(db, sizes.history, context.say)
  if (name === 'waiting') {
    // Half of it waits at the endpoint that the drain goes to, the rest at a thousand others.
    await owe(db, { group: 'waits', urls: [receiver.url], each: sizes.waiting / 2, inHours: 24 })
    await owe(db, { group: 'waits', urls: receiver.urls(1_000), each: sizes.waiting / 2_000, inHours: 24 })
  }
  await tidy(db)
  return { url, db, dispatcher: await startDispatcher(context, url, db), claimP99: [] }
}

async function measure(
  { url, db, dispatcher, claimP99 }: Scene,
  round: string,
  receiver: Receiver,
  count: number,
  pin: boolean,
): Promise<number> {
  const backlog = { group: round, urls: [receiver.url], each: count }
  await pause(db, backlog.urls)
  await owe(db, backlog)
  await tidy(db)
  await takeClaims(dispatcher)
  const pinning = pin ? await pinXmin(url) : undefined
  const rate = await arrivalRate({ db, dispatcher, receivers: [receiver], backlog, timeoutMs: 240_000 })
  await pinning?.end()
  claimP99.push(percentile(await takeClaims(dispatcher), 0.99))
  return rate
}

/** A transaction that keeps every row version from now on alive, until its connection ends. */
async function pinXmin(url: string): Promise<pg.Client> {
  const connection = await connect(url)
  await connection.query('begin isolation level repeatable read')
  await connection.query('select pg_current_xact_id()')
  return connection
}
