import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { reclaimExpired } from '../../src/dispatch/reclaim.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import {
  claimDue,
  clear,
  delivered,
  died,
  dispatcher,
  endpoint,
  endpointOf,
  failed,
  gauge,
  open,
  owe,
  receiver,
  refusedUrl,
  settleAll,
} from '../support/endpoints.ts'
import { eventually } from '../support/eventually.ts'
import type { Answer } from '../support/receiver.ts'
import { complete, runningTasks } from '../support/tasks.ts'

const url = 'http://receiver.example/hook'
let db: TestDatabase

before(async () => {
  db = await createTestDatabase()
})
after(() => db.drop())
beforeEach(() => clear(db))

const breaker = async (of = url) => (await endpointOf(db, of)).breaker
const rows = () => db.query('select attempts, attempts_before, state from webhook_outbox order by id')

for (const [failures, seconds, expected] of [
  [9, 0, 'closed'],
  [9, 3_600, 'closed'],
  [10, 0, 'closed'],
  [10, 4.5, 'closed'],
  [10, 5, 'open'],
  [10, 3_600, 'open'],
  [30, 4.5, 'closed'],
] as const) {
  test(`${failures} failures in a row over ${seconds} s: the breaker is ${expected}`, async () => {
    await endpoint(db, url)
    await owe(db, url, failures)
    const claimed = await claimDue(db)
    const last = claimed.pop()!
    await settleAll(
      db,
      claimed.map((one) => failed(one)),
    )
    await db.query(
      `update webhook_endpoints set failing_since = clock_timestamp() - $1::float8 * interval '1 s'`,
      [seconds],
    )
    const { turns } = await settleAll(db, [failed(last)])
    assert.equal(await breaker(), expected)
    assert.deepEqual(
      turns.map(({ turn }) => turn),
      expected === 'open' ? ['opened'] : [],
    )
  })
}

test('a success in between starts the count and the time anew', async () => {
  await endpoint(db, url, { failures: '9', failing_since: `now() - interval '1 hour'` })
  await owe(db, url, 12)
  const [success, ...others] = await claimDue(db)
  await settleAll(db, [delivered(success!)])
  assert.deepEqual((await endpointOf(db, url)).failures, 0)
  await settleAll(
    db,
    others.map((one) => failed(one)),
  )
  const { failures, breaker: state } = await endpointOf(db, url)
  assert.deepEqual({ failures, state }, { failures: 11, state: 'closed' })
})

test('of a batch, only the failures after its last success are in a row', async () => {
  await endpoint(db, url, { failures: '9', failing_since: `now() - interval '1 hour'` })
  await owe(db, url, 4)
  const [a, b, c, d] = await claimDue(db)
  await settleAll(db, [failed(a!), failed(b!), delivered(c!), failed(d!)])
  const { failures, breaker: state } = await endpointOf(db, url)
  assert.deepEqual({ failures, state }, { failures: 1, state: 'closed' })
})

for (const [kind, answer] of [
  ['404', { status: 404 }],
  ['301', { status: 301 }],
  ['500', { status: 500 }],
  ['429', { status: 429 }],
  ['a reset', 'reset'],
  ['a timeout', 'hang'],
  ['a refused connection', null],
] as [string, Answer | null][]) {
  test(`${kind} is a failure: the tenth opens the breaker, the ninth does not`, async (t) => {
    const to = answer === null ? await refusedUrl() : (await receiver(t, answer)).url()
    await endpoint(db, to, { failures: '8', failing_since: `now() - interval '1 hour'` })
    const it = dispatcher(t, db, { deliveryTimeoutMs: 100, retrySchedule: [60_000] })
    await owe(db, to)
    await it.dispatcher.runOnce()
    assert.equal(await breaker(to), 'closed')
    await owe(db, to)
    await it.dispatcher.runOnce()
    const { breaker: state, last_error } = await endpointOf(db, to)
    assert.equal(state, 'open')
    assert.ok(last_error)
  })
}

test('while it is open, rows wait: none is sent, counted or rewritten, whatever arrives and claims', async (t) => {
  const hooks = await receiver(t)
  await endpoint(db, hooks.url(), { ...open, probe_at: `now() + interval '1 hour'` })
  await owe(db, hooks.url(), 50)
  await owe(db, hooks.url(), 50, { attempts: '2', next_attempt_at: `now() + n * interval '10 ms'` })
  const versions = () => db.query('select id, ctid, xmin, attempts from webhook_outbox order by id limit 100')
  const waiting = await versions()
  const running = [dispatcher(t, db), dispatcher(t, db)]
  for (const { dispatcher: one } of running) one.start()
  const elsewhere = await receiver(t)
  for (let n = 1; n <= 10; n++) {
    await complete(db, await runningTasks(db, hooks.url(), 5))
    await complete(db, await runningTasks(db, elsewhere.url()))
    await elsewhere.waitFor(n)
  }
  assert.equal(hooks.requests.length, 0)
  assert.deepEqual(await versions(), waiting)
  const [{ count } = {}] = await db.query(
    `select count(*)::integer from webhook_outbox where state = 'pending' and attempts = 0`,
  )
  assert.equal(count, 100)
})

test('the first probe comes after a second, the next ones at doubling waits of up to 2 minutes', async () => {
  await endpoint(db, url, { failures: '9', failing_since: `now() - interval '1 hour'` })
  await owe(db, url, 2)
  await settleAll(db, [failed((await claimDue(db, { limit: 1 }))[0]!)])
  const waits = []
  for (let n = 0; n < 10; n++) {
    const { probe_in, probe_wait_s } = await endpointOf(db, url)
    assert.ok(Math.abs(probe_in! - probe_wait_s!) < 0.5, `in ${probe_in} s, by a wait of ${probe_wait_s} s`)
    waits.push(probe_wait_s)
    assert.deepEqual(await claimDue(db), [])
    await db.query('update webhook_endpoints set probe_at = now()')
    const claimed = await claimDue(db)
    assert.deepEqual(
      claimed.map(({ probe }) => probe),
      [true],
    )
    assert.equal(await breaker(), 'probing')
    await settleAll(db, [failed(claimed[0]!)])
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 64, 120, 120, 120])
})

test('eight dispatchers probe with one delivery at a time', async (t) => {
  const hooks = await receiver(t, { status: 503, delayMs: 300 })
  await endpoint(db, hooks.url(), open)
  await owe(db, hooks.url(), 100)
  const eight = Array.from({ length: 8 }, () => dispatcher(t, db))
  for (const probes of [1, 2, 3]) {
    await Promise.all(eight.map(({ dispatcher: one }) => one.runOnce()))
    await Promise.all(eight.map(({ dispatcher: one }) => one.runOnce()))
    assert.equal(hooks.requests.length, probes)
    await db.query('update webhook_endpoints set probe_at = now()')
  }
})

test('a probe that fails gives its attempt back, and is on record: the retry schedule is left whole', async (t) => {
  const hooks = await receiver(t, { status: 503 })
  await endpoint(db, hooks.url(), open)
  await owe(db, hooks.url())
  const it = dispatcher(t, db, { retrySchedule: [1, 1, 1] })
  for (let n = 1; n <= 5; n++) {
    await it.dispatcher.runOnce()
    await db.query('update webhook_endpoints set probe_at = now()')
    assert.deepEqual(await rows(), [{ attempts: n, attempts_before: n, state: 'pending' }])
  }
  await db.query(`update webhook_endpoints set breaker = 'closed', failures = 0, probe_at = null`)
  it.dispatcher.start()
  const [dead] = await eventually(async () => {
    const found = await db.query(
      'select attempts, (select count(*)::integer from webhook_attempts) as logged from webhook_dead_letters',
    )
    assert.equal(found.length, 1)
    return found
  })
  assert.deepEqual(dead, { attempts: 9, logged: 9 })
  assert.equal(hooks.requests.length, 9)
  assert.deepEqual(
    hooks.requests.map((request) => request.headers['webhook-attempt']),
    Array.from({ length: 9 }, (_, n) => String(n + 1)),
  )
})

test('a probe whose lease expired keeps its attempt, and another probe follows', async () => {
  await endpoint(db, url, open)
  await owe(db, url)
  const [lost] = await claimDue(db)
  await db.query(`update webhook_outbox set lease_until = now() - interval '1 ms'`)
  assert.equal(await reclaimExpired(db.pool, { leaseMs: 10_000, maxAttempts: 4 }), 1)
  assert.deepEqual(await rows(), [{ attempts: 1, attempts_before: 0, state: 'pending' }])
  const { breaker: state, in_flight } = await endpointOf(db, url)
  assert.deepEqual({ state, in_flight }, { state: 'open', in_flight: 0 })
  assert.match(String((await db.query('select error from webhook_attempts'))[0]?.error), /^lost/)
  assert.deepEqual(await claimDue(db), [], 'not before the lease of the first is over')
  await db.query('update webhook_endpoints set probe_at = now()')
  assert.equal((await claimDue(db))[0]?.attempt, 2)
  assert.equal((await settleAll(db, [delivered(lost!)])).changed.size, 0)
  assert.equal(await breaker(), 'probing', 'what the lost one says is not heard')
})

test('a probe that is answered 4xx ends its event as dead, and the breaker stays open', async (t) => {
  const hooks = await receiver(t, { status: 404 })
  await endpoint(db, hooks.url(), open)
  await owe(db, hooks.url(), 3)
  await dispatcher(t, db).dispatcher.runOnce()
  assert.deepEqual(await db.query('select task_id, attempts from webhook_dead_letters'), [
    { task_id: 't1', attempts: 1 },
  ])
  const { breaker: state, probe_wait_s, in_flight } = await endpointOf(db, hooks.url())
  assert.deepEqual({ state, probe_wait_s, in_flight }, { state: 'open', probe_wait_s: 2, in_flight: 0 })
})

test('what waited goes out in order of age and at a growing pace: 1, 2, 4 … at once, as the slots say', async (t) => {
  const { answer, seen } = gauge(60)
  const hooks = await receiver(t, answer)
  await endpoint(db, hooks.url(), open)
  await owe(db, hooks.url(), 120, {
    event_id: `('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid`,
  })
  dispatcher(t, db, { maxInFlightPerEndpoint: 8, pollIntervalMs: 3_600_000 }).dispatcher.start()
  const requests = await hooks.waitFor(120)
  requests.forEach((request, index) => {
    const age = Number(String(request.headers['webhook-id']).slice(-12)) - 1
    assert.ok(Math.abs(age - index) < 8, `event ${age} came as number ${index}`)
  })
  // The slots double each half second at most, the first time half a second after the answer to the probe.
  const answeredAt = seen[0]!.at + 60
  for (const { at, underWay } of seen) {
    const slots = 2 ** Math.min(Math.max(0, Math.floor((at - answeredAt + 20) / 500)), 3)
    assert.ok(underWay <= slots, `${underWay} at once ${Math.round(at - answeredAt)} ms after the return`)
  }
  const highest = (from: number, to: number) =>
    Math.max(...seen.filter(({ at }) => at >= from && at < to).map((one) => one.underWay))
  assert.equal(highest(0, answeredAt + 400), 1)
  assert.ok(highest(answeredAt + 500, Infinity) >= 4)
  await eventually(async () => assert.equal((await endpointOf(db, hooks.url())).in_flight, 0))
  const { breaker: state, failures, opened_at, probe_at } = await endpointOf(db, hooks.url())
  assert.deepEqual(
    { state, failures, opened_at, probe_at },
    { state: 'closed', failures: 0, opened_at: null, probe_at: null },
  )
})

test('a shutdown during a probe hands it back, and the next probe may come at once', async (t) => {
  const hooks = await receiver(t, 'hang')
  await endpoint(db, hooks.url(), open)
  await owe(db, hooks.url(), 3)
  const it = dispatcher(t, db, { shutdownGraceMs: 50, deliveryTimeoutMs: 9_000, leaseMs: 60_000 })
  it.dispatcher.start()
  await hooks.waitFor(1)
  await it.stop()
  const { breaker: state, in_flight, probe_in, probe_wait_s, failures } = await endpointOf(db, hooks.url())
  assert.deepEqual(
    { state, in_flight, probe_wait_s, failures },
    { state: 'open', in_flight: 0, probe_wait_s: 1, failures: 10 },
  )
  assert.ok(probe_in! <= 0)
  const [first] = await rows()
  assert.deepEqual(first, { attempts: 1, attempts_before: 1, state: 'pending' })
  assert.equal((await claimDue(db))[0]?.attempt, 2, 'the same one, in its place')
})

test('what was sent before the breaker opened and fails late leaves the probe where it is', async () => {
  await endpoint(db, url)
  await owe(db, url, 4)
  const late = await claimDue(db, { limit: 2 })
  await db.query(
    `update webhook_endpoints set breaker = 'open', failures = 10, opened_at = now(), probe_wait = '8 s',
       probe_at = now() + interval '8 s', failing_since = now() - interval '1 hour'`,
  )
  const before = await endpointOf(db, url)
  await settleAll(db, [failed(late[0]!)])
  await settleAll(db, [died(late[1]!, false)])
  const now = await endpointOf(db, url)
  assert.deepEqual(
    [now.breaker, now.probe_at, now.opened_at, now.probe_wait_s, now.in_flight],
    ['open', before.probe_at, before.opened_at, 8, 0],
  )
})

test('what was sent before the breaker opened and succeeds late closes it, and a probe under way changes nothing', async () => {
  await endpoint(db, url)
  await owe(db, url, 4)
  const [late] = await claimDue(db, { limit: 1 })
  await db.query(
    `update webhook_endpoints set breaker = 'open', failures = 10, opened_at = now(), probe_wait = '8 s', probe_at = now(),
       failing_since = now() - interval '1 hour'`,
  )
  const [probe] = await claimDue(db)
  assert.equal(probe?.probe, true)
  const { turns } = await settleAll(db, [delivered(late!)])
  assert.deepEqual(
    turns.map(({ turn }) => turn),
    ['closed'],
  )
  assert.deepEqual(await claimDue(db), [], 'its one slot is taken by the probe')
  await settleAll(db, [failed(probe)])
  const { breaker: state, in_flight, slots, failures } = await endpointOf(db, url)
  assert.deepEqual(
    { state, in_flight, slots, failures },
    { state: 'closed', in_flight: 0, slots: 1, failures: 1 },
  )
})

test('a breaker that opened because of answers of 4xx is probed in its time, and not at the poll', async (t) => {
  const hooks = await receiver(t, (_, n) => ({ status: n === 1 ? 404 : 200 }))
  await endpoint(db, hooks.url(), { failures: '9', failing_since: `now() - interval '1 hour'`, slots: '1' })
  await owe(db, hooks.url(), 5)
  dispatcher(t, db, { pollIntervalMs: 3_600_000 }).dispatcher.start()
  const [first, second] = await hooks.waitFor(5)
  const wait = second!.at - first!.at
  assert.ok(wait >= 990 && wait < 1_500, `${wait} ms`)
})
