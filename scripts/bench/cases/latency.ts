import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { Case, CaseContext } from '../case.ts'
import { type Commit, commitToReceipt, complete, completeAtRate } from '../commits.ts'
import type { Measured } from '../report.ts'
import { isAsleep, startDispatcher, startReceiver, untilSettled } from '../service.ts'
import { connect } from '../stage.ts'
import { percentile, seededRandom } from '../statistics.ts'
import { deliveredOnce, seedTasks } from '../tasks.ts'

/** Commits a completion for each of the tasks 1 to `count` of the ticket, at its own pace. */
type Writer = (parts: { url: string; db: pg.Client; ticket: string; count: number }) => Promise<Commit[]>

/** An event about every 200 ms, so that the dispatcher has fallen asleep before each. */
export const latencyIdle: Case = {
  name: 'latency-idle',
  summary: 'commit to receipt of single events, the dispatcher asleep before each',
  async run(context) {
    let asleep = 0
    const count = context.options.quick ? 20 : 150
    const rows = await measure(context, count, async ({ url, db, ticket }) => {
      const writer = await connect(url)
      const random = seededRandom(1)
      const commits: Commit[] = []
      for (let n = 1; n <= count; n++) {
        await sleep(150 + random() * 100)
        if (await isAsleep(db)) asleep += 1
        commits.push(await complete(writer, `${ticket}/${n}`))
      }
      await writer.end()
      return commits
    })
    return [...rows, { measure: 'dispatcher asleep before', value: asleep, unit: 'events', n: count }]
  },
}

const RATE = 200

/** Arrivals do not wait for each other, whatever the service does. */
export const latency200: Case = {
  name: 'latency-200',
  summary: `the same at ${RATE} events a second, Poisson arrivals`,
  run: (context) =>
    measure(context, RATE * (context.options.quick ? 2 : 15), ({ url, ticket, count }) => {
      const taskIds = Array.from({ length: count }, (_, n) => `${ticket}/${n + 1}`)
      return completeAtRate(url, taskIds, RATE)
    }),
}

async function measure(context: CaseContext, count: number, write: Writer): Promise<Measured[]> {
  const url = await context.stage.createDatabase(`latency_${count}`)
  const db = await connect(url)
  const receiver = await startReceiver(context)
  const warmUp = 50
  await seedTasks(db, 'warm-up', receiver.url, warmUp)
  await seedTasks(db, 'latency', receiver.url, count)
  const dispatcher = await startDispatcher(context, url, db)
  for (let n = 1; n <= warmUp; n++) await complete(db, `warm-up/${n}`)
  await untilSettled(dispatcher, db, 10_000)
  await deliveredOnce(db, 'warm-up', warmUp, await receiver.take())

  context.say(`${count} events`)
  const commits = await write({ url, db, ticket: 'latency', count })
  await untilSettled(dispatcher, db, 30_000)
  await dispatcher.stop()
  const delivered = await deliveredOnce(db, 'latency', count, await receiver.take())
  await receiver.stop()
  await db.end()

  const { fromSent, fromAnswer } = commitToReceipt(commits, delivered)
  const row = (measure: string, value: number) => ({ measure, value, unit: 'ms', n: count })
  return [
    row("p50 from COMMIT's answer to receipt", percentile(fromAnswer, 0.5)),
    row("p99 from COMMIT's answer to receipt", percentile(fromAnswer, 0.99)),
    row('p50 from sending COMMIT to receipt', percentile(fromSent, 0.5)),
    row('p99 from sending COMMIT to receipt', percentile(fromSent, 0.99)),
  ]
}
