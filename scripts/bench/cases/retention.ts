import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { Case } from '../case.ts'
import { commitToReceipt, completeAtRate, writerName } from '../commits.ts'
import { medianRow } from '../report.ts'
import { alternate, ratios } from '../rounds.ts'
import { startDispatcher, startReceiver, untilSettled } from '../service.ts'
import { settleDay } from '../settled.ts'
import { connect } from '../stage.ts'
import { percentile } from '../statistics.ts'
import { deliveredOnce, seedTasks } from '../tasks.ts'

const RATE = 200
const LOOK_EVERY_MS = 10

/** The statement is that of the dispatcher's upkeep (src/dispatch/partitions.ts), at a moment of our choice. */
export const retention: Case = {
  name: 'retention',
  summary: `dropping a day of 1,000,000 settled rows while delivering ${RATE} events a second`,
  minutes: 15,
  async run(context) {
    const rows = context.options.quick ? 50_000 : 1_000_000
    const seconds = context.options.quick ? 3 : 10
    const url = await context.stage.createDatabase('retention')
    const db = await connect(url)
    const dropper = await connect(url)
    const receiver = await startReceiver(context)
    // Its own upkeep drops nothing meanwhile.
    const dispatcher = await startDispatcher(context, url, db, { RETENTION: '3650d' })
    const waits: number[] = []
    let day = 0
    const measure = (drop: boolean) => async (round: string) => {
      const count = RATE * seconds
      const ticket = `${round}-${drop ? 'dropping' : 'without'}`
      // Both have just written the day, and differ in nothing but when it is dropped.
      await settleDay(db, daysAgo(100 - day++), rows)
      await seedTasks(db, ticket, receiver.url, count)
      const watch = await watchLocks(url)
      const taskIds = Array.from({ length: count }, (_, n) => `${ticket}/${n + 1}`)
      const [commits] = await Promise.all([
        completeAtRate(url, taskIds, RATE),
        drop ? dropAfter(dropper, (seconds * 1_000) / 2) : undefined,
      ])
      await untilSettled(dispatcher, db, 60_000)
      const longest = await watch()
      if (!drop) await dropAfter(dropper, 0)
      else if (round !== 'warm-up') waits.push(longest)
      const delivered = await deliveredOnce(db, ticket, count, await receiver.take())
      return percentile(commitToReceipt(commits, delivered).fromAnswer, 0.99)
    }
    const { without, dropping } = await alternate(
      context,
      { without: measure(false), dropping: measure(true) },
      { unit: 'ms' },
    )
    await dispatcher.stop()
    await Promise.all([receiver.stop(), db.end(), dropper.end()])
    return [
      medianRow("p99 from COMMIT's answer to receipt", without, 'ms'),
      medianRow(`p99 while a day of ${rows} rows is dropped`, dropping, 'ms'),
      medianRow('p99 while dropping / without', ratios(dropping, without), '', { atMost: 1.5 }),
      medianRow('longest lock wait of a writer while dropping', waits, 'ms', { atMost: 100 }),
    ]
  },
}

/** Waits, then drops all that is past its retention: the history of the day, and its attempts. */
async function dropAfter(db: pg.Client, ms: number): Promise<void> {
  await sleep(ms)
  let dropped = 0
  for (;;) {
    const { rows } = await db.query<{ dropped: string | null }>(
      `select webhook_drop_expired_partition(interval '7 days', interval '30 days') as dropped`,
    )
    if (rows[0]!.dropped === null) break
    dropped += 1
  }
  if (dropped !== 2) throw new Error(`wrong result: ${dropped} partitions were dropped`)
}

/** Looks on; the function that it resolves to ends that, and says how long a writer waited for a lock at most, in milliseconds. */
async function watchLocks(url: string): Promise<() => Promise<number>> {
  const watcher = await connect(url)
  let longest = 0
  let stopped = false
  const watching = (async () => {
    while (!stopped) {
      const { rows } = await watcher.query<{ ms: number }>(
        `select coalesce(max(extract(epoch from clock_timestamp() - l.waitstart)) * 1000, 0)::float8 as ms
         from pg_locks l join pg_stat_activity a using (pid) where not l.granted and a.application_name = $1`,
        [writerName],
      )
      longest = Math.max(longest, rows[0]!.ms)
      await sleep(LOOK_EVERY_MS)
    }
  })()
  return async () => {
    stopped = true
    await watching
    await watcher.end()
    return longest
  }
}

function daysAgo(days: number): string {
  return new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10)
}
