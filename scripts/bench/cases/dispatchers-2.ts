import { arrivalRate, owe, pause } from '../backlog.ts'
import type { Case } from '../case.ts'
import { medianRow } from '../report.ts'
import { alternate, ratios } from '../rounds.ts'
import { startDispatcher, startReceiver } from '../service.ts'
import { connect } from '../stage.ts'
import { tidy } from '../tasks.ts'

const ANSWER_MS = 50
const ENDPOINTS = 8
/** So few that waiting, and not the processor, is the limit. */
const MAX_IN_FLIGHT = '48'

/** Each number of dispatchers has a database, so that both can alternate without starts in between. */
export const dispatchers2: Case = {
  name: 'dispatchers-2',
  summary: `two dispatchers against one, to receivers that take ${ANSWER_MS} ms`,
  async run(context) {
    const each = context.options.quick ? 500 : 2_000
    const receiver = await startReceiver(context)
    await receiver.answerAfter(ANSWER_MS)
    const urls = receiver.urls(ENDPOINTS)
    const open = async (dispatchers: number) => {
      const url = await context.stage.createDatabase(`dispatchers_${dispatchers}`)
      const db = await connect(url)
      const started = []
      for (let n = 0; n < dispatchers; n++)
        started.push(await startDispatcher(context, url, db, { MAX_IN_FLIGHT }))
      return { db, started }
    }
    const scenes = { one: await open(1), two: await open(2) }
    const run = (name: keyof typeof scenes) => async (round: string) => {
      const { db, started } = scenes[name]
      const backlog = { group: round, urls, each }
      await pause(db, urls)
      await owe(db, backlog)
      await tidy(db)
      return arrivalRate({ db, dispatcher: started[0]!, receivers: [receiver], backlog, timeoutMs: 60_000 })
    }
    const { one, two } = await alternate(context, { one: run('one'), two: run('two') }, { unit: '/s' })
    for (const { db, started } of Object.values(scenes)) {
      for (const dispatcher of started) await dispatcher.stop()
      await db.end()
    }
    await receiver.stop()
    const ideal = (Number(MAX_IN_FLIGHT) * 1_000) / ANSWER_MS
    return [
      medianRow(`one dispatcher, ${MAX_IN_FLIGHT} in flight (at most ${ideal}/s)`, one, '/s'),
      medianRow('two dispatchers', two, '/s'),
      medianRow('two / one', ratios(two, one), '', { atLeast: 1.8 }),
    ]
  },
}
