import { arrivalRate, owe, pause } from '../backlog.ts'
import type { Case } from '../case.ts'
import { heldBytes, residentBytes, startDispatcher, startReceiver } from '../service.ts'
import { connect } from '../stage.ts'
import { tidy } from '../tasks.ts'

/**
 * What leaks is held, on the heap of V8 or beside it: that is compared between the first look and the last. What is resident
 * is that and free memory which V8 keeps for its next burst. The second that 10,000 deliveries take ends on its way up: of the
 * young generation's 128 MiB not all is touched yet, and the old one has not yet held as much garbage as it comes to between
 * two collections. By the half of the deliveries it has come to rest, and must not grow from there; in a quick run it does not
 * get that far.
 */
export const memory: Case = {
  name: 'memory',
  summary: 'memory of a dispatcher after 1,000,000 deliveries, against after 10,000',
  minutes: 20,
  async run(context) {
    const { quick } = context.options
    const [looks, batch] = quick
      ? [[2_000, 5_000, 10_000, 20_000], 5_000]
      : [[10_000, 250_000, 500_000, 1_000_000], 125_000]
    const url = await context.stage.createDatabase('memory')
    const db = await connect(url)
    const receiver = await startReceiver(context)
    const dispatcher = await startDispatcher(context, url, db)
    let done = 0
    const deliverUntil = async (count: number) => {
      while (done < count) {
        const each = Math.min(batch, count - done)
        const backlog = { group: `after-${done}`, urls: [receiver.url], each }
        await pause(db, backlog.urls)
        await owe(db, backlog)
        await tidy(db)
        await arrivalRate({ db, dispatcher, receivers: [receiver], backlog, timeoutMs: 240_000 })
        done += each
        context.say(`${done}: ${((await residentBytes(dispatcher)) / 2 ** 20).toFixed(0)} MiB resident`)
      }
    }
    const resident: number[] = []
    const held: number[] = []
    for (const count of looks) {
      await deliverUntil(count)
      resident.push((await residentBytes(dispatcher)) / 2 ** 20)
      // Not in between: V8 begins anew once it has given back what is free.
      if (count === looks[0] || count === looks.at(-1)) held.push((await heldBytes(dispatcher)) / 2 ** 20)
    }
    await dispatcher.stop()
    await Promise.all([receiver.stop(), db.end()])
    const row = (measure: string, value: number) => ({ measure, value, unit: 'MiB', n: 1 })
    const more = (values: number[]) => values.at(-1)! - values.at(-2)!
    return [
      row(`held after ${looks[0]} deliveries`, held[0]!),
      row(`held after ${done} deliveries`, held[1]!),
      { ...row('more', more(held)), goal: { atMost: 20 } },
      ...looks.map((count, index) => row(`resident after ${count} deliveries`, resident[index]!)),
      { ...row('more in the second half', more(resident)), ...(quick ? {} : { goal: { atMost: 20 } }) },
    ]
  },
}
