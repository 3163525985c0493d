import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { owe } from '../backlog.ts'
import type { Case } from '../case.ts'
import { wallMs } from '../clock.ts'
import { defaultLimits, startDispatcher, startReceiver, until } from '../service.ts'
import { connect } from '../stage.ts'
import { percentile } from '../statistics.ts'

/** An outage of an hour: an event a second, and each wait at the longest that it grows to. */
const OUTAGE_S = 3_600
const PROBE_WAIT_S = 120
const RECOVER_WAIT_S = 270
/** What is left of these waits when the receivers return; in the worst case, all of it. */
const LEFT_S = 3

/**
 * Both receivers refuse connections. The outage begins as it comes: an event a second to one, until its breaker is open,
 * and one event to the other, until it is dead. Then SQL makes an hour of it: it makes all older, inserts the events that are
 * missing with their ages, and sets both waits to what they are after an hour, with `LEFT_S` of them left. After the return
 * nobody acts. The figures for the worst case add the part of the waits that was not waited for.
 */
export const recovery: Case = {
  name: 'recovery',
  summary: 'a receiver that is away for an hour, and one that was owed a single event; time compressed',
  async run(context) {
    const begin = context.options.quick ? 9 : 15
    const url = await context.stage.createDatabase('recovery')
    const db = await connect(url)
    const [busy, single] = [await startReceiver(context), await startReceiver(context)]
    await Promise.all([busy.setDown(true), single.setDown(true)])
    const dispatcher = await startDispatcher(context, url, db, defaultLimits)
    const oweOne = (group: string, to: string) => owe(db, { group, urls: [to], each: 1 })
    await oweOne('single', single.url)
    for (let second = 0; second < begin; second++) {
      await oweOne('busy', busy.url)
      await sleep(1_000)
    }
    await until(dispatcher, 20_000, 'the single event is dead, the other breaker open', async () => {
      const { rows } = await db.query<{ ready: boolean }>(
        `select exists (select from webhook_history where ticket_id = 'single' and outcome = 'dead' and recoverable)
           and exists (select from webhook_endpoints where url = $1 and breaker = 'open') as ready`,
        [busy.url],
      )
      return rows[0]?.ready === true
    })
    await makeHour(db, busy.url, single.url, OUTAGE_S - begin)
    await Promise.all([busy.setDown(false), single.setDown(false)])
    const returnedAt = wallMs()

    await until(dispatcher, 85_000, 'everything arrived', async () => {
      const { rows } = await db.query<{ owed: number }>(
        `select count(*)::integer as owed from webhook_events where state <> 'delivered'`,
      )
      return rows[0]?.owed === 0
    })
    const arrived = await busy.take()
    const [alone, ...more] = await single.take()
    const ages = await agesOf(db)
    if (
      ages.size !== OUTAGE_S ||
      new Set(arrived.map(([id]) => id)).size !== OUTAGE_S ||
      arrived.length !== OUTAGE_S
    )
      throw new Error(`wrong result: ${arrived.length} receipts of ${ages.size} events`)
    if (alone === undefined || more.length > 0)
      throw new Error('wrong result: the single event did not arrive once')
    await dispatcher.stop()
    await Promise.all([busy.stop(), single.stop(), db.end()])

    const displaced = arrived.map(([id], place) => Math.abs(ages.get(id)! - place))
    const [firstAt, lastAt] = [arrived[0]![1], arrived.at(-1)![1]]
    const seconds = (measure: string, ms: number, n: number) => ({ measure, value: ms / 1_000, unit: 's', n })
    const goal = { atMost: 300 }
    return [
      seconds(`return to the last of ${OUTAGE_S}, ${LEFT_S} s before a probe`, lastAt - returnedAt, OUTAGE_S),
      {
        ...seconds(
          `the same just after a probe, wait of ${PROBE_WAIT_S} s`,
          lastAt - returnedAt + (PROBE_WAIT_S - LEFT_S) * 1_000,
          OUTAGE_S,
        ),
        goal,
      },
      seconds(`return to the single one, ${LEFT_S} s before it is tried`, alone[1] - returnedAt, 1),
      {
        ...seconds(
          `the same just after a try, wait of ${RECOVER_WAIT_S} s`,
          alone[1] - returnedAt + (RECOVER_WAIT_S - LEFT_S) * 1_000,
          1,
        ),
        goal,
      },
      {
        measure: 'arrived in the first second of the backlog',
        value: arrived.filter(([, at]) => at < firstAt + 1_000).length,
        unit: 'events',
        n: 1,
      },
      {
        measure: 'p99 of the places from the order of age',
        value: percentile(displaced, 0.99),
        unit: 'places',
        n: OUTAGE_S,
      },
    ]
  },
}

async function makeHour(db: pg.Client, busy: string, single: string, missing: number): Promise<void> {
  const elapsed = `interval '${missing} seconds'`
  await db.query('begin')
  await db.query(
    `update webhook_outbox set created_at = created_at - ${elapsed}, next_attempt_at = next_attempt_at - ${elapsed}`,
  )
  await db.query(
    `update webhook_history set created_at = created_at - ${elapsed}, settled_at = settled_at - ${elapsed} where settled_at::date = (settled_at - ${elapsed})::date`,
  )
  await db.query(
    `update webhook_history set created_at = created_at - ${elapsed} where created_at > now() - ${elapsed}`,
  )
  await owe(db, { group: 'later', urls: [busy], each: missing })
  await db.query(
    `update webhook_outbox set ticket_id = 'busy', created_at = now() - (n.missing + 1 - split_part(entity_id, '/', 2)::integer) * interval '1 second',
       next_attempt_at = now() - (n.missing + 1 - split_part(entity_id, '/', 2)::integer) * interval '1 second'
     from (select $1::integer as missing) n where ticket_id = 'later'`,
    [missing],
  )
  await db.query(
    `update webhook_endpoints set opened_at = opened_at - ${elapsed}, failing_since = failing_since - ${elapsed},
       probe_wait = '${PROBE_WAIT_S} seconds', probe_at = now() + interval '${LEFT_S} seconds' where url = $1`,
    [busy],
  )
  await db.query(
    `update webhook_endpoints set failing_since = failing_since - ${elapsed},
       recover_wait = '${RECOVER_WAIT_S} seconds', recover_at = now() + interval '${LEFT_S} seconds' where url = $1`,
    [single],
  )
  await db.query('commit')
}

/** The place of each event by age. */
async function agesOf(db: pg.Client): Promise<Map<string, number>> {
  const { rows } = await db.query<{ event_id: string }>(
    `select event_id from webhook_events where ticket_id = 'busy' order by created_at`,
  )
  return new Map(rows.map((row, place) => [row.event_id, place]))
}
