import type pg from 'pg'
import { owe, pause, resume } from '../backlog.ts'
import type { Case, CaseContext } from '../case.ts'
import type { Child } from '../child.ts'
import { commitToReceipt, completeAtRate } from '../commits.ts'
import { medianRow } from '../report.ts'
import { defaultLimits, startDispatcher, startReceiver, until, type Receiver } from '../service.ts'
import { connect } from '../stage.ts'
import { percentile } from '../statistics.ts'
import { deliveredOnce, insertTasks, tidy } from '../tasks.ts'

const ENDPOINTS = 20
const RATE = 200

/** A database with its own dispatcher, so that all alternate while each keeps its backlog. */
interface Scene {
  url: string
  db: pg.Client
  dispatcher: Child
  /** URL of the endpoint that is owed much and takes nothing. */
  dead: string | null
}

/**
 * Each round begins when the dead endpoint's backlog becomes due, as for one that was healthy until then: it holds the
 * opening of the breaker and what follows.
 */
export const isolationDead: Case = {
  name: 'isolation-dead',
  summary: `${ENDPOINTS} healthy endpoints at ${RATE} events a second, with and without a dead one`,
  async run(context) {
    const { rounds, quick } = context.options
    const owed = quick ? 5_000 : 100_000
    const count = RATE * (quick ? 2 : 7)
    const healthy = await startReceiver(context)
    const refusing = await startReceiver(context)
    await refusing.setDown(true)
    const mute = await startReceiver(context)
    await mute.answerAfter(null)
    const dead = { without: null, refusing: refusing.url, mute: mute.url }
    const scenes: Record<string, Scene> = {}
    const p99: Record<string, number[]> = {}
    for (const [name, url] of Object.entries(dead)) {
      scenes[name] = await prepare(context, name, url, owed)
      await measure(scenes[name], 'warm-up', healthy, RATE)
      p99[name] = []
    }
    for (let round = 1; round <= rounds; round++) {
      for (const [name, scene] of Object.entries(scenes)) {
        p99[name]!.push(await measure(scene, `round-${round}`, healthy, count))
      }
      const last = Object.entries(p99).map(([name, values]) => `${name} ${values.at(-1)!.toFixed(1)} ms`)
      context.say(`round ${round}: ${last.join(', ')}`)
    }
    for (const { db, dispatcher, dead } of Object.values(scenes)) {
      if (dead !== null) await nothingLost(db, owed)
      await dispatcher.stop()
      await db.end()
    }
    await Promise.all([healthy, refusing, mute].map((receiver) => receiver.stop()))

    const ratio = (name: string) => p99[name]!.map((value, round) => value / p99.without![round]!)
    return [
      medianRow("p99 from COMMIT's answer to receipt", p99.without!, 'ms'),
      medianRow(`p99 with one that refuses and is owed ${owed}`, p99.refusing!, 'ms'),
      medianRow('p99 with one that refuses / without', ratio('refusing'), '', { atMost: 1.5 }),
      medianRow(`p99 with one that never answers (DELIVERY_TIMEOUT 2s) and is owed ${owed}`, p99.mute!, 'ms'),
      medianRow('p99 with one that never answers / without', ratio('mute'), '', { atMost: 1.5 }),
    ]
  },
}

async function prepare(
  context: CaseContext,
  name: string,
  dead: string | null,
  owed: number,
): Promise<Scene> {
  const url = await context.stage.createDatabase(`isolation_dead_${name}`)
  const db = await connect(url)
  if (dead !== null) {
    await pause(db, [dead])
    await owe(db, { group: 'dead', urls: [dead], each: owed })
  }
  const settings = { ...defaultLimits, DELIVERY_TIMEOUT: '2s' }
  return { url, db, dead, dispatcher: await startDispatcher(context, url, db, settings) }
}

async function measure(scene: Scene, name: string, receiver: Receiver, count: number): Promise<number> {
  const { url, db, dispatcher, dead } = scene
  const tickets = receiver.urls(ENDPOINTS).map((_, n) => `${name}/${n}`)
  for (const [n, to] of receiver.urls(ENDPOINTS).entries()) {
    await insertTasks(db, tickets[n]!, to, count / ENDPOINTS)
  }
  const taskIds = Array.from(
    { length: count },
    (_, n) => `${tickets[n % ENDPOINTS]}/${1 + Math.floor(n / ENDPOINTS)}`,
  )
  await tidy(db)
  if (dead !== null && name !== 'warm-up') await resume(db, [dead])
  const commits = await completeAtRate(url, taskIds, RATE)
  await until(dispatcher, 60_000, `${count} events arrived`, async () => (await receiver.count()) >= count)
  if (dead !== null) await calm(scene, dead)
  const { rows } = await db.query<{ owed: number }>(
    `select count(*)::integer as owed from webhook_outbox where ticket_id = any($1)`,
    [tickets],
  )
  if (rows[0]!.owed > 0) throw new Error(`wrong result: ${rows[0]!.owed} events arrived and are still owed`)
  const delivered = await deliveredOnce(db, tickets, count, await receiver.take())
  return percentile(commitToReceipt(commits, delivered).fromAnswer, 0.99)
}

/** Back to the start: nothing to the dead endpoint is in flight, and nothing is known of it. */
async function calm({ db, dispatcher }: Scene, dead: string): Promise<void> {
  await pause(db, [dead])
  await until(dispatcher, 30_000, 'nothing is in flight', async () => {
    const { rows } = await db.query<{ busy: boolean }>(
      `select exists (select from webhook_outbox where state = 'delivering') as busy`,
    )
    return rows[0]?.busy === false
  })
  await db.query('delete from webhook_endpoints where id = md5($1)::uuid', [dead])
  await pause(db, [dead])
}

/** What died had used up its attempts before the breaker opened; nothing else may have gone. */
async function nothingLost(db: pg.Client, owed: number): Promise<void> {
  const { rows } = await db.query<{ events: number; delivered: number }>(
    `select count(*)::integer as events, (count(*) filter (where state = 'delivered'))::integer as delivered
     from webhook_events where ticket_id = 'dead'`,
  )
  const { events, delivered } = rows[0]!
  if (events !== owed || delivered > 0)
    throw new Error(
      `wrong result: of ${owed} events to the dead endpoint ${events} are left, ${delivered} delivered`,
    )
}
