import type pg from 'pg'
import { arrivalRate, owe, pause } from '../backlog.ts'
import type { Case } from '../case.ts'
import type { Child } from '../child.ts'
import { medianRow } from '../report.ts'
import { defaultLimits, IN_FLIGHT, startDispatcher, startReceiver } from '../service.ts'
import { connect } from '../stage.ts'
import { tidy } from '../tasks.ts'

/** What a user with one receiver sees with nothing set, and one with a thousand; against no limit but that of all. */
export const drainDefault: Case = {
  name: 'drain-default',
  summary: 'the drain with MAX_IN_FLIGHT_PER_ENDPOINT as it is by default, to one URL and to 1,000',
  async run(context) {
    const { rounds, quick } = context.options
    const count = quick ? 2_000 : 5_000
    const receiver = await startReceiver(context)
    const open = async (name: string, settings: Record<string, string>) => {
      const url = await context.stage.createDatabase(`drain_${name}`)
      const db = await connect(url)
      return { db, dispatcher: await startDispatcher(context, url, db, settings) }
    }
    const unlimited = await open('unlimited', {})
    const limited = await open('limited', defaultLimits)
    const [one, thousand] = [receiver.urls(1), receiver.urls(1_000)]
    const run = async (
      { db, dispatcher }: { db: pg.Client; dispatcher: Child },
      group: string,
      urls: string[],
    ) => {
      const backlog = { group, urls, each: count / urls.length }
      await pause(db, urls)
      await owe(db, backlog)
      await tidy(db)
      return arrivalRate({ db, dispatcher, receivers: [receiver], backlog, timeoutMs: 60_000 })
    }
    const rates: Record<'free' | 'one' | 'thousand', number[]> = { free: [], one: [], thousand: [] }
    for (let round = 0; round <= rounds; round++) {
      const free = await run(unlimited, `round-${round}`, one)
      const toOne = await run(limited, `round-${round}-one`, one)
      const toThousand = await run(limited, `round-${round}-thousand`, thousand)
      context.say(`round ${round}: ${free.toFixed(0)}, ${toOne.toFixed(0)} and ${toThousand.toFixed(0)}/s`)
      // The first is to warm up.
      if (round === 0) continue
      rates.free.push(free)
      rates.one.push(toOne)
      rates.thousand.push(toThousand)
    }
    for (const { db, dispatcher } of [unlimited, limited]) {
      await dispatcher.stop()
      await db.end()
    }
    await receiver.stop()
    const ratio = (list: number[]) => list.map((rate, i) => rate / rates.free[i]!)
    return [
      medianRow(`${count} to one URL, ${IN_FLIGHT} in flight`, rates.free, '/s'),
      medianRow('to one URL, 16 in flight (the default)', rates.one, '/s'),
      medianRow(
        `to 1,000 URLs, 16 in flight each and ${IN_FLIGHT} together (the default)`,
        rates.thousand,
        '/s',
      ),
      medianRow(`one URL: 16 in flight / ${IN_FLIGHT}`, ratio(rates.one), ''),
      medianRow('1,000 URLs by default / one URL with 256', ratio(rates.thousand), ''),
    ]
  },
}
