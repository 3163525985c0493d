import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { channel } from '../../db/capture.ts'
import type { Child } from './child.ts'
import type { Receipt } from './children/receiver.ts'
import { wallMs } from './clock.ts'
import { exampleBody } from './peers.ts'
import { type Receiver, until } from './service.ts'
import { deliveredOnce } from './tasks.ts'

/** Events of one group, which stands in their ticket_id, to several URLs. */
export interface Backlog {
  group: string
  urls: string[]
  /** To each of the URLs. */
  each: number
  /** Due at once where it is not given; else after so many hours. */
  inHours?: number
}

/** Inserts what is owed, without host rows; one transaction makes it visible, URL by URL in turns. */
export async function owe(db: pg.Client, { group, urls, each, inHours = 0 }: Backlog): Promise<void> {
  await db.query(
    `insert into webhook_outbox (event_type, entity_type, entity_id, ticket_id, task_id, url, payload, next_attempt_at)
     select 'task.completed', 'task', $1 || '/' || n, $1, $1 || '/' || n || '/' || u.ordinality, u.url, $4::json,
       clock_timestamp() + $5::float8 * interval '1 hour'
     from generate_series(1, $3::integer) n cross join unnest($2::text[]) with ordinality u (url)
     order by n, u.ordinality`,
    [group, urls, each, exampleBody, inHours],
  )
}

const ids = `select md5(url)::uuid from unnest($1::text[]) u (url)`

/** Lets backlogs be prepared: what is owed to the URLs waits, and nothing else does, until `resume`. */
export async function pause(db: pg.Client, urls: string[]): Promise<void> {
  await db.query(
    `insert into webhook_endpoints (id, url, paused_at, paused_reason)
     select md5(url)::uuid, url, now(), 'the bench prepares' from unnest($1::text[]) u (url) order by 1
     on conflict (id) do update set paused_at = excluded.paused_at, paused_reason = excluded.paused_reason`,
    [urls],
  )
}

/** Makes due in one transaction what was paused, and wakes the dispatcher. */
export async function resume(db: pg.Client, urls: string[]): Promise<void> {
  await db.query('begin')
  // In the order of the claim, which would else wait for this and this for it.
  await db.query(`select from webhook_endpoints where id in (${ids}) order by id for update`, [urls])
  await db.query(`update webhook_endpoints set paused_at = null, paused_reason = null where id in (${ids})`, [
    urls,
  ])
  await db.query(`notify ${channel}`)
  await db.query('commit')
}

/** Takes away what is owed to the URLs, once nothing of it is in flight any more. */
export async function forget(db: pg.Client, urls: string[]): Promise<void> {
  await pause(db, urls)
  const deadline = performance.now() + 30_000
  for (;;) {
    await db.query(`delete from webhook_outbox where state = 'pending' and endpoint_id in (${ids})`, [urls])
    const { rows } = await db.query<{ left: boolean }>(
      `select exists (select from webhook_outbox where endpoint_id in (${ids})) as left`,
      [urls],
    )
    if (rows[0]?.left !== true) return
    if (performance.now() > deadline) throw new Error('what was in flight did not come back')
    await sleep(100)
  }
}

/** A backlog that was prepared under a pause, and how long the service may take for it. */
export interface Flow {
  db: pg.Client
  dispatcher: Child
  receivers: Receiver[]
  backlog: Backlog
  /** Endpoints that are let go together with those of the backlog. */
  besides?: string[]
  timeoutMs: number
}

/**
 * Lets a backlog go: its events a second, from the commit to the receipt of the last one.
 * @throws where one of its events is missing, or came twice
 */
export async function arrivalRate(flow: Flow): Promise<number> {
  const { db, dispatcher, receivers, backlog, besides = [], timeoutMs } = flow
  const count = backlog.urls.length * backlog.each
  await resume(db, [...backlog.urls, ...besides])
  const committedAt = wallMs()
  await until(dispatcher, timeoutMs, `${count} events of ${backlog.group} arrived`, async () => {
    const counts = await Promise.all(receivers.map((receiver) => receiver.count()))
    return counts.reduce((sum, one) => sum + one, 0) >= count
  })
  const receipts: Receipt[] = (await Promise.all(receivers.map((receiver) => receiver.take()))).flat()
  await untilGone(flow)
  await deliveredOnce(db, backlog.group, count, receipts)
  const lastAt = receipts.reduce((latest, [, receivedAt]) => Math.max(latest, receivedAt), 0)
  return (count * 1_000) / (lastAt - committedAt)
}

/** The last answers are settled a moment after they came. */
function untilGone({ db, dispatcher, backlog }: Flow): Promise<void> {
  return until(dispatcher, 30_000, `what arrived of ${backlog.group} is settled`, async () => {
    const { rows } = await db.query<{ owed: boolean }>(
      'select exists (select from webhook_outbox where ticket_id = $1) as owed',
      [backlog.group],
    )
    return rows[0]?.owed === false
  })
}
