import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import type { Settlement } from '../../src/dispatch/settle.ts'
import { settle } from '../../src/dispatch/settle.ts'
import { endpointFailing, endpointRecovered } from '../../src/events.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import {
  claimDue,
  clear,
  delivered,
  dispatcher,
  endpoint,
  failed,
  open,
  owe,
  receiver,
} from '../support/endpoints.ts'
import { eventually } from '../support/eventually.ts'

const url = 'http://receiver.example/hook'
const operatorUrl = 'https://operators.example/alerts?key=of-the-operator'
let db: TestDatabase

before(async () => {
  db = await createTestDatabase()
})
after(() => db.drop())
beforeEach(() => clear(db))

const settleWith = (settlements: Settlement[], to: string | undefined = operatorUrl) =>
  settle(db.pool, settlements, { perEndpoint: 16, operatorUrl: to })

interface News extends Record<string, unknown> {
  event_id: string
  event_type: string
  payload: string
}

const news = () =>
  db.query<News>(`select * from webhook_outbox where entity_type = 'endpoint' order by created_at, id`)
const idOf = async (of: string) => (await db.query<{ id: string }>('select md5($1)::uuid as id', [of]))[0]!.id

/** For `endpoint`: the next failure opens the breaker. */
const aboutToOpen = { failures: '9', failing_since: `now() - interval '90 s'` }

const gone = (claimed: Settlement['claimed']): Settlement => ({
  ...{ claimed, kind: 'dead', recoverable: false, pause: true, status: 410, error: '410 Gone' },
  ...{ startedAt: new Date(), durationMs: 5, response: '' },
})

const keys = [
  ...['event_type', 'timestamp', 'entity_type', 'entity_id'],
  ...['project_id', 'ticket_id', 'task_id', 'agent_id', 'data'],
]

test('a breaker that opens writes one endpoint.failing to the URL of the operator', async () => {
  await endpoint(db, url, aboutToOpen)
  await owe(db, url, 3)
  const [first, ...others] = await claimDue(db)
  await settleWith([failed(first!)])
  await settleWith(others.map((one) => failed(one)))
  const [row, ...more] = await news()
  assert.deepEqual(more, [])
  assert.equal(row?.['url'], operatorUrl)
  assert.equal(row['state'], 'pending')
  const payload = JSON.parse(row.payload) as Record<string, unknown>
  assert.deepEqual(Object.keys(payload), keys)
  const { entity_id, data } = endpointFailing.parse(payload)
  assert.equal(entity_id, await idOf(url))
  assert.equal(row['entity_id'], entity_id)
  const { since, ...rest } = data
  assert.deepEqual(rest, {
    ...{ url, status: 'open', failures: 10, last_status: 503, last_error: '503 Service Unavailable' },
  })
  assert.ok(Math.abs(Date.now() - 90_000 - Date.parse(since!)) < 10_000, since!)
})

test('a breaker that closes writes one endpoint.recovered, with how long it was away and why', async () => {
  await endpoint(db, url, { ...open, last_error: `'503 Service Unavailable'` })
  await owe(db, url, 2)
  const [probe] = await claimDue(db)
  await settleWith([delivered(probe!)])
  const later = (await claimDue(db)).filter(({ url: to }) => to === url)
  assert.equal(later.length, 1)
  await settleWith([delivered(later[0]!)])
  const [row, ...more] = await news()
  assert.deepEqual(more, [])
  const payload = JSON.parse(row!.payload) as Record<string, unknown>
  assert.deepEqual(Object.keys(payload), keys)
  const { since, down_seconds, ...rest } = endpointRecovered.parse(payload).data
  assert.deepEqual(rest, {
    ...{ url, status: 'healthy', failures: 10, last_status: 200, last_error: '503 Service Unavailable' },
  })
  assert.ok(down_seconds! >= 60 && down_seconds! < 70, String(down_seconds))
  assert.ok(Math.abs(Date.now() - 60_000 - Date.parse(since!)) < 10_000)
})

test('an answer of 410 writes one endpoint.failing, also where it opens the breaker as well', async () => {
  const other = `${url}/other`
  await endpoint(db, url)
  await endpoint(db, other, aboutToOpen)
  for (const one of [url, other]) await owe(db, one)
  await settleWith((await claimDue(db)).map(gone))
  const rows = (await news()).map(({ payload }) => endpointFailing.parse(JSON.parse(payload)).data)
  assert.deepEqual(
    rows
      .map(({ url, status, last_status }) => ({ url, status, last_status }))
      .sort((a, b) => a.url.length - b.url.length),
    [url, other].map((one) => ({ url: one, status: 'paused', last_status: 410 })),
  )
})

test('of a probe that fails, or a failure of many, there is no news', async () => {
  await endpoint(db, url, open)
  await endpoint(db, `${url}/other`, { failures: '3', failing_since: `now() - interval '1 hour'` })
  for (const one of [url, `${url}/other`]) await owe(db, one)
  await settleWith((await claimDue(db)).map((one) => failed(one)))
  assert.deepEqual(await news(), [])
})

test('a dispatcher without OPERATOR_WEBHOOK_URL writes none', async () => {
  await endpoint(db, url, aboutToOpen)
  await owe(db, url)
  const { turns } = await settle(
    db.pool,
    (await claimDue(db)).map((one) => failed(one)),
    { perEndpoint: 16 },
  )
  assert.deepEqual(
    turns.map(({ turn }) => turn),
    ['opened'],
  )
  assert.deepEqual(await news(), [])
})

test('there is no news of the endpoint of the operator itself', async () => {
  await endpoint(db, 'https://operators.example/alerts', aboutToOpen)
  await owe(db, operatorUrl)
  const { turns } = await settleWith((await claimDue(db)).map((one) => failed(one)))
  assert.deepEqual(
    turns.map(({ turn }) => turn),
    ['opened'],
  )
  assert.deepEqual(await news(), [])
})

for (const [stored, shown] of [
  ['http://user:CANARY@receiver.example/hook', 'http://receiver.example/hook'],
  ['http:\\\\user:CANARY@receiver.example/hook', 'receiver.example/hook'],
  ['ht\ttp://user:CANARY/@receiver.example/hook', 'receiver.example/hook'],
  ['https://receiver.example/@team/hook', 'https://receiver.example/@team/hook'],
  ['HTTPS://receiver.example', 'HTTPS://receiver.example'],
] as const) {
  test(`of ${JSON.stringify(stored)} news shows ${shown}`, async () => {
    await endpoint(db, stored, aboutToOpen)
    await owe(db, `${stored}?key=CANARY`)
    await settleWith((await claimDue(db)).map((one) => failed(one)))
    const [row] = await news()
    assert.ok(!row!.payload.includes('CANARY'), row!.payload)
    assert.equal(endpointFailing.parse(JSON.parse(row!.payload)).data.url, shown)
  })
}

test('eight that settle at once write one event a turn', async () => {
  await endpoint(db, url, aboutToOpen)
  await owe(db, url, 40)
  const claimed = await claimDue(db)
  const parts = Array.from({ length: 8 }, (_, n) => claimed.filter((_, i) => i % 8 === n))
  await Promise.all(parts.map((part) => settleWith(part.map((one) => failed(one)))))
  assert.deepEqual(
    (await news()).map(({ event_type }) => event_type),
    ['endpoint.failing'],
  )
})

test('the operator is told while everything else is down, and once it is up again', async (t) => {
  const operator = await receiver(t)
  const hooks = await receiver(t, ({ path }) => (path < '/5' ? { status: 503 } : 'hang'))
  const paths = Array.from({ length: 10 }, (_, n) => `/${n}`)
  for (const path of paths) {
    await endpoint(db, hooks.url(path), { ...aboutToOpen, slow: 'true' })
    await owe(db, hooks.url(path), 3)
  }
  const options = { operatorUrl: operator.url('/alerts'), deliveryTimeoutMs: 300, maxInFlight: 8 }
  for (let n = 0; n < 2; n++) dispatcher(t, db, options).dispatcher.start()
  const told = (type: string) => operator.requests.filter(({ body }) => body.event_type === type)
  await operator.waitFor(10)
  hooks.setAnswer({ status: 200 })
  await eventually(() => assert.equal(told('endpoint.recovered').length, 10), { timeoutMs: 30_000 })
  assert.equal(told('endpoint.failing').length, 10)
  assert.deepEqual(
    new Set(told('endpoint.failing').map(({ body }) => body.data['url'])),
    new Set(paths.map((path) => hooks.url(path))),
  )
  assert.equal(new Set(operator.requests.map(({ headers }) => headers['webhook-id'])).size, 20)
})

test('a replay of such an event goes to where it went', async () => {
  await endpoint(db, url, aboutToOpen)
  await owe(db, url)
  await settleWith((await claimDue(db)).map((one) => failed(one)))
  const [row] = await news()
  await settleWith((await claimDue(db)).map((one) => delivered(one)))
  assert.deepEqual(await news(), [])
  await db.query('select webhook_replay($1)', [row!.event_id])
  const [again] = await news()
  assert.equal(again?.event_id, row!.event_id)
  assert.equal(again['url'], operatorUrl)
  assert.equal(again.payload, row!.payload)
})
