import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import {
  claimDue,
  clear,
  delivered,
  dispatcher,
  endpoint,
  endpointOf,
  failed,
  open,
  owe,
  receiver,
  settleAll,
} from '../support/endpoints.ts'

const url = 'http://receiver.example/hook'
let db: TestDatabase

before(async () => {
  db = await createTestDatabase()
})
after(() => db.drop())
beforeEach(() => clear(db))

const ask = async (call: string, of: string, ...more: string[]): Promise<unknown> =>
  (await db.query(`select ${call} as answer`, [of, ...more]))[0]?.answer
const pause = (of: string, reason = 'maintenance') =>
  ask('webhook_pause_endpoint(md5($1)::uuid, $2)', of, reason)
const resume = (of: string) => ask('webhook_resume_endpoint(md5($1)::uuid)', of)

test('what is owed to a paused endpoint waits, and is not rewritten', async () => {
  await endpoint(db, url)
  await owe(db, url, 5)
  assert.equal(await pause(url), true)
  const before = await db.query('select *, xmin from webhook_outbox')
  assert.deepEqual(await claimDue(db), [])
  assert.deepEqual(await db.query('select *, xmin from webhook_outbox'), before)
  const { paused_at, paused_reason } = await endpointOf(db, url)
  assert.ok(paused_at)
  assert.equal(paused_reason, 'maintenance')
  assert.equal(await resume(url), true)
  assert.equal((await claimDue(db)).length, 5)
  const resumed = await endpointOf(db, url)
  assert.deepEqual([resumed.paused_at, resumed.paused_reason], [null, null])
})

test('an endpoint can be paused before its first event is claimed, and one that nobody knows cannot', async () => {
  assert.equal(await pause(url), false)
  assert.equal(await resume(url), false)
  await owe(db, `${url}?secret=1#x`)
  assert.equal(await pause(url), true)
  assert.deepEqual(await claimDue(db), [])
  assert.equal((await db.query('select url from webhook_endpoints'))[0]?.url, url)
})

test('a pause again gives it the new reason', async () => {
  await endpoint(db, url)
  await pause(url)
  await pause(url, 'for longer')
  assert.equal((await endpointOf(db, url)).paused_reason, 'for longer')
})

test('what is in flight at a pause is settled, also as a failure that waits', async () => {
  await endpoint(db, url)
  await owe(db, url, 2)
  const [a, b] = await claimDue(db)
  await pause(url)
  assert.equal((await settleAll(db, [delivered(a!), failed(b!, 0)])).changed.size, 2)
  assert.deepEqual(await claimDue(db), [])
  assert.ok((await endpointOf(db, url)).paused_at)
})

test('an answer of 410 pauses the endpoint: its event is dead, what else is owed waits and nothing is dropped', async (t) => {
  const hooks = await receiver(t, (_, n) => ({ status: n === 1 ? 410 : 200 }))
  await endpoint(db, hooks.url(), { slots: '1' })
  await owe(db, hooks.url(), 6)
  const it = dispatcher(t, db)
  assert.equal(await it.dispatcher.runOnce(), 1)
  assert.equal(await it.dispatcher.runOnce(), 0)
  const { paused_at, paused_reason } = await endpointOf(db, hooks.url())
  assert.ok(paused_at)
  assert.equal(paused_reason, '410 Gone')
  assert.deepEqual(
    await db.query('select state, count(*)::integer from webhook_events group by 1 order by 1'),
    [
      { state: 'dead', count: 1 },
      { state: 'pending', count: 5 },
    ],
  )
  assert.ok(it.lines.some((line) => String(line.msg).includes('paused')))
  await resume(hooks.url())
  it.dispatcher.start()
  await hooks.waitFor(6)
})

test('a pause by an operator keeps its reason where a 410 comes after it', async (t) => {
  const hooks = await receiver(t, { status: 410, delayMs: 100 })
  await endpoint(db, hooks.url())
  await owe(db, hooks.url())
  const run = dispatcher(t, db).dispatcher.runOnce()
  await hooks.waitFor(1)
  await pause(hooks.url())
  await run
  assert.equal((await endpointOf(db, hooks.url())).paused_reason, 'maintenance')
})

test('a resume wakes a dispatcher that sleeps, and an open breaker is probed at once', async (t) => {
  const hooks = await receiver(t)
  await endpoint(db, hooks.url(), {
    ...open,
    probe_at: `now() + interval '1 hour'`,
    probe_wait: `interval '2 minutes'`,
    paused_at: 'now()',
    paused_reason: `'maintenance'`,
  })
  await owe(db, hooks.url(), 3)
  const it = dispatcher(t, db, { pollIntervalMs: 3_600_000 })
  it.dispatcher.start()
  await owe(db, hooks.url(), 3)
  await resume(hooks.url())
  await hooks.waitFor(6, { timeoutMs: 5_000 })
})

test('a resume while a probe is under way does not send a second one', async () => {
  await endpoint(db, url, open)
  await owe(db, url, 3)
  const [probe] = await claimDue(db)
  await pause(url)
  await resume(url)
  assert.deepEqual(await claimDue(db), [])
  await settleAll(db, [failed(probe!)])
  await pause(url)
  await resume(url)
  assert.equal((await claimDue(db)).length, 1)
})

test('a probe that fails leaves a paused endpoint paused', async () => {
  await endpoint(db, url, open)
  await owe(db, url, 3)
  const [probe] = await claimDue(db)
  await pause(url)
  await settleAll(db, [delivered(probe!)])
  const { breaker, paused_at } = await endpointOf(db, url)
  assert.equal(breaker, 'closed')
  assert.ok(paused_at)
  assert.deepEqual(await claimDue(db), [])
})

test('the endpoint is paused for every query and fragment of its URL', async () => {
  for (const suffix of ['', '?a=1', '?a=2', '#x']) await owe(db, `${url}${suffix}`)
  await pause(url)
  await owe(db, `${url}/other`)
  assert.deepEqual(
    (await claimDue(db)).map((claimed) => claimed.url),
    [`${url}/other`],
  )
})
