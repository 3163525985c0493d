import { arrivalRate, owe, pause } from '../backlog.ts'
import type { Case } from '../case.ts'
import { residentBytes, startDispatcher, startReceiver } from '../service.ts'
import { connect } from '../stage.ts'
import { tidy } from '../tasks.ts'

export const memory: Case = {
  name: 'memory',
  summary: 'memory of a dispatcher after 1,000,000 deliveries, against after 10,000',
  minutes: 20,
  async run(context) {
    const [few, many, batch] = context.options.quick ? [2_000, 20_000, 6_000] : [10_000, 1_000_000, 110_000]
    const url = await context.stage.createDatabase('memory')
    const db = await connect(url)
    const receiver = await startReceiver(context)
    const dispatcher = await startDispatcher(context, url, db)
    const deliver = async (count: number, group: string) => {
      const backlog = { group, urls: [receiver.url], each: count }
      await pause(db, backlog.urls)
      await owe(db, backlog)
      await tidy(db)
      await arrivalRate({ db, dispatcher, receivers: [receiver], backlog, timeoutMs: 240_000 })
    }
    const mebibytes = async () => (await residentBytes(dispatcher)) / 2 ** 20
    await deliver(few, 'few')
    const before = await mebibytes()
    for (let done = few; done < many; done += batch) {
      await deliver(Math.min(batch, many - done), `many-${done}`)
      context.say(`${Math.min(done + batch, many)}: ${(await mebibytes()).toFixed(0)} MiB`)
    }
    const after = await mebibytes()
    await dispatcher.stop()
    await Promise.all([receiver.stop(), db.end()])
    const row = (measure: string, value: number) => ({ measure, value, unit: 'MiB', n: 1 })
    return [
      row(`resident after ${few} deliveries`, before),
      row(`resident after ${many} deliveries`, after),
      { ...row('more', after - before), goal: { atMost: 20 } },
    ]
  },
}
