import { arrivalRate, forget, owe, pause } from '../backlog.ts'
import type { Case } from '../case.ts'
import { watchSockets } from '../open-sockets.ts'
import { medianRow } from '../report.ts'
import { defaultLimits, IN_FLIGHT, startDispatcher, startReceiver } from '../service.ts'
import { connect } from '../stage.ts'
import { tidy } from '../tasks.ts'

const SLOW_MS = 5_000
/** Origins of a receiver process; an endpoint is a path of one of them. */
const PORTS = 300

/** Three receiver processes, one of them slow; the same healthy backlog with what is owed to the slow ones and without. */
export const isolationMany: Case = {
  name: 'isolation-many',
  summary: 'the drain to 9,000 healthy endpoints with and without 1,000 slow ones (5 s)',
  async run(context) {
    const { rounds, quick } = context.options
    const [healthyCount, slowCount] = quick ? [900, 100] : [9_000, 1_000]
    const url = await context.stage.createDatabase('isolation_many')
    const db = await connect(url)
    const receivers = [await startReceiver(context, PORTS), await startReceiver(context, PORTS)]
    const slow = await startReceiver(context, PORTS)
    await slow.answerAfter(SLOW_MS)
    const urls = receivers.flatMap((receiver) => receiver.urls(healthyCount / 2))
    const slowUrls = slow.urls(slowCount)
    const ports = [...receivers, slow].flatMap((receiver) => receiver.ports)
    const dispatcher = await startDispatcher(context, url, db, defaultLimits)

    const run = async (group: string, withSlow: boolean) => {
      const backlog = { group, urls, each: 2 }
      await pause(db, [...urls, ...slowUrls])
      await owe(db, backlog)
      if (withSlow) await owe(db, { group: `${group}-slow`, urls: slowUrls, each: 10 })
      await tidy(db)
      const stopWatching = watchSockets(ports)
      const rate = await arrivalRate({
        db,
        dispatcher,
        receivers,
        backlog,
        besides: slowUrls,
        timeoutMs: 80_000,
      })
      const sockets = stopWatching() ?? Number.NaN
      if (withSlow) await forget(db, slowUrls)
      return { rate, sockets }
    }
    await run('warm-up', false)
    const without: { rate: number; sockets: number }[] = []
    const disturbed: { rate: number; sockets: number }[] = []
    for (let round = 1; round <= rounds; round++) {
      without.push(await run(`round-${round}-without`, false))
      disturbed.push(await run(`round-${round}-with`, true))
      const [a, b] = [without.at(-1)!, disturbed.at(-1)!]
      context.say(
        `round ${round}: ${b.rate.toFixed(0)} of ${a.rate.toFixed(0)}/s, ${b.sockets} and ${a.sockets} sockets`,
      )
    }
    await dispatcher.stop()
    await Promise.all([...receivers, slow].map((receiver) => receiver.stop()))
    await db.end()

    const rates = (list: typeof without) => list.map(({ rate }) => rate)
    const sockets = (list: typeof without) => list.map((one) => one.sockets)
    return [
      medianRow(`the drain to ${healthyCount} healthy endpoints`, rates(without), '/s'),
      medianRow(`the same with ${slowCount} slow ones`, rates(disturbed), '/s'),
      medianRow(
        'with / without',
        disturbed.map(({ rate }, i) => rate / without[i]!.rate),
        '',
        { atLeast: 0.8 },
      ),
      medianRow(`most open sockets with the slow ones, ${ports.length} origins`, sockets(disturbed), '', {
        atMost: IN_FLIGHT,
      }),
      medianRow('most open sockets without them', sockets(without), '', { atMost: IN_FLIGHT }),
    ]
  },
}
