import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Case, CaseContext } from '../case.ts'
import { wallMs } from '../clock.ts'
import type { Measured } from '../report.ts'
import { isAsleep, startDispatcher, startReceiver, untilSettled } from '../service.ts'
import { connect } from '../stage.ts'
import { percentile, seededRandom } from '../statistics.ts'
import { completeTasks, deliveredOnce, seedTasks } from '../tasks.ts'

/** When one task's COMMIT was sent, and when its answer came. */
interface Commit {
  taskId: string
  sentAt: number
  answeredAt: number
}

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
const WRITERS = 8

/** Poisson arrivals: they do not wait for each other, whatever the service does. */
export const latency200: Case = {
  name: 'latency-200',
  summary: `the same at ${RATE} events a second, Poisson arrivals`,
  run: (context) =>
    measure(context, RATE * (context.options.quick ? 2 : 15), async ({ url, ticket, count }) => {
      const writers = new pg.Pool({ connectionString: url, max: WRITERS, min: WRITERS, idleTimeoutMillis: 0 })
      const random = seededRandom(2)
      const commits: Promise<Commit>[] = []
      let due = performance.now()
      for (let n = 1; n <= count; n++) {
        due += (-Math.log(1 - random()) * 1_000) / RATE
        const early = due - performance.now()
        if (early >= 1) await sleep(early)
        commits.push(completeBy(writers, `${ticket}/${n}`))
      }
      const done = await Promise.all(commits)
      await writers.end()
      return done
    }),
}

async function completeBy(writers: pg.Pool, taskId: string): Promise<Commit> {
  const writer = await writers.connect()
  try {
    return await complete(writer, taskId)
  } finally {
    writer.release()
  }
}

async function complete(writer: pg.ClientBase, taskId: string): Promise<Commit> {
  await writer.query('begin')
  await writer.query(`${completeTasks} id = $1`, [taskId])
  const sentAt = wallMs()
  await writer.query('commit')
  return { taskId, sentAt, answeredAt: wallMs() }
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

  const receivedAt = new Map(delivered.map((event) => [event.taskId, event.receivedAt]))
  const fromSent = commits.map((commit) => receivedAt.get(commit.taskId)! - commit.sentAt)
  if (Math.min(...fromSent) < 0) throw new Error('wrong result: an event arrived before its COMMIT was sent')
  const fromAnswer = commits.map((commit) => receivedAt.get(commit.taskId)! - commit.answeredAt)
  const row = (measure: string, value: number) => ({ measure, value, unit: 'ms', n: count })
  return [
    row("p50 from COMMIT's answer to receipt", percentile(fromAnswer, 0.5)),
    row("p99 from COMMIT's answer to receipt", percentile(fromAnswer, 0.99)),
    row('p50 from sending COMMIT to receipt', percentile(fromSent, 0.5)),
    row('p99 from sending COMMIT to receipt', percentile(fromSent, 0.99)),
  ]
}
