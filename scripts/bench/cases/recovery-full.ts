import { setTimeout as sleep } from 'node:timers/promises'
import { owe } from '../backlog.ts'
import type { Case } from '../case.ts'
import { wallMs } from '../clock.ts'
import { defaultLimits, startDispatcher, startReceiver, until } from '../service.ts'
import { connect } from '../stage.ts'

/** The same outage as in `recovery`, in real time: nothing is made older by SQL, and no wait is shortened. */
export const recoveryFull: Case = {
  name: 'recovery-full',
  summary: 'the same in real time: an hour, and 5 minutes at most',
  minutes: 80,
  onRequest: true,
  async run(context) {
    const outageS = context.options.quick ? 60 : 3_600
    const url = await context.stage.createDatabase('recovery_full')
    const db = await connect(url)
    const [busy, single] = [await startReceiver(context), await startReceiver(context)]
    await Promise.all([busy.setDown(true), single.setDown(true)])
    const dispatcher = await startDispatcher(context, url, db, defaultLimits)
    const began = performance.now()
    for (let second = 0; second < outageS; second++) {
      await owe(db, { group: 'busy', urls: [busy.url], each: 1 })
      if (second === Math.floor(outageS / 2)) await owe(db, { group: 'single', urls: [single.url], each: 1 })
      if (second % 300 === 0) context.say(`down for ${second} s`)
      await sleep(Math.max(0, began + (second + 1) * 1_000 - performance.now()))
    }
    await Promise.all([busy.setDown(false), single.setDown(false)])
    const returnedAt = wallMs()
    context.say('both are back')
    await until(dispatcher, 330_000, 'everything arrived', async () => {
      const { rows } = await db.query<{ open: number }>(
        `select count(*)::integer as open from webhook_events where state <> 'delivered'`,
      )
      return rows[0]?.open === 0
    })
    const [arrived, alone] = [await busy.take(), await single.take()]
    if (arrived.length !== outageS || new Set(arrived.map(([id]) => id)).size !== outageS)
      throw new Error(`wrong result: ${arrived.length} receipts of ${outageS} events`)
    if (alone.length !== 1) throw new Error(`wrong result: the single event arrived ${alone.length} times`)
    await dispatcher.stop()
    await Promise.all([busy.stop(), single.stop(), db.end()])
    const goal = { atMost: 300 }
    const sinceReturn = (at: number) => ({ value: (at - returnedAt) / 1_000, unit: 's', n: 1 })
    return [
      { measure: `return to the first of ${outageS}`, ...sinceReturn(arrived[0]![1]) },
      { measure: `return to the last of ${outageS}`, ...sinceReturn(arrived.at(-1)![1]), goal },
      { measure: 'return to the single one', ...sinceReturn(alone[0]![1]), goal },
    ]
  },
}
