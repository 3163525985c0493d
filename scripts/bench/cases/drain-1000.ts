import type pg from 'pg'
import { arrivalRate, owe, pause } from '../backlog.ts'
import type { Case } from '../case.ts'
import type { Child } from '../child.ts'
import { medianRow } from '../report.ts'
import { alternate, ratios } from '../rounds.ts'
import { defaultLimits, IN_FLIGHT, startDispatcher, startReceiver } from '../service.ts'
import { connect } from '../stage.ts'
import { tidy } from '../tasks.ts'

/** What a user with one receiver sees with nothing set, and one with a thousand; against no limit but that of all. */
export const drain1000: Case = {
  name: 'drain-1000',
  summary: 'the drain to 1,000 receivers, and to one, with MAX_IN_FLIGHT_PER_ENDPOINT as it is by default',
  minutes: 15,
  async run(context) {
    const count = context.options.quick ? 5_000 : 50_000
    const single = await startReceiver(context)
    const origins = await startReceiver(context, 1_000)
    const open = async (name: string, settings: Record<string, string>) => {
      const url = await context.stage.createDatabase(`drain_${name}`)
      const db = await connect(url)
      return { db, dispatcher: await startDispatcher(context, url, db, settings) }
    }
    const unlimited = await open('unlimited', {})
    const limited = await open('limited', defaultLimits)
    const run = async (
      { db, dispatcher }: { db: pg.Client; dispatcher: Child },
      group: string,
      urls: string[],
    ) => {
      const backlog = { group, urls, each: count / urls.length }
      await pause(db, urls)
      await owe(db, backlog)
      await tidy(db)
      return arrivalRate({ db, dispatcher, receivers: [single, origins], backlog, timeoutMs: 120_000 })
    }
    const { free, one, thousand, apart } = await alternate(
      context,
      {
        free: (round) => run(unlimited, `${round}-free`, single.urls(1)),
        one: (round) => run(limited, `${round}-one`, single.urls(1)),
        thousand: (round) => run(limited, `${round}-thousand`, single.urls(1_000)),
        apart: (round) => run(limited, `${round}-apart`, origins.urls(1_000)),
      },
      { unit: '/s' },
    )
    for (const { db, dispatcher } of [unlimited, limited]) {
      await dispatcher.stop()
      await db.end()
    }
    await Promise.all([single.stop(), origins.stop()])
    return [
      medianRow(`${count} to one URL, ${IN_FLIGHT} in flight`, free, '/s'),
      medianRow('to one URL, 16 in flight (the default)', one, '/s'),
      medianRow(`to 1,000 URLs of one origin, 16 in flight each and ${IN_FLIGHT} together`, thousand, '/s'),
      medianRow('to 1,000 origins', apart, '/s'),
      medianRow(`one URL: 16 in flight / ${IN_FLIGHT}`, ratios(one, free), ''),
      medianRow('1,000 URLs of one origin / one URL', ratios(thousand, free), '', { atLeast: 0.8 }),
      medianRow('1,000 origins / one URL', ratios(apart, free), '', { atLeast: 0.8 }),
    ]
  },
}
