import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { kyselyOver } from '../../src/database/connection.ts'
import { reclaimExpired } from '../../src/dispatch/reclaim.ts'
import { reconcileInFlight } from '../../src/dispatch/reconcile.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import {
  claimDue,
  clear,
  delivered,
  dispatcher,
  endpoint,
  endpointOf,
  failed,
  gauge,
  owe,
  receiver,
  refusedUrl,
  settleAll,
} from '../support/endpoints.ts'
import { eventually } from '../support/eventually.ts'
import { startServiceProcess } from '../support/service-process.ts'

const url = 'http://receiver.example/hook'
let db: TestDatabase

before(async () => {
  db = await createTestDatabase()
})
after(() => db.drop())
beforeEach(() => clear(db))

const inFlight = async (of = url) => (await endpointOf(db, of)).in_flight
const reclaim = () => reclaimExpired(db.pool, { leaseMs: 10_000, maxAttempts: 4 })
/** As the upkeep does it; it may not change anything where only claims and settlements were at work. */
const reconcile = () => reconcileInFlight(kyselyOver(db.pool))

test('eight dispatchers together never have more in flight to an endpoint than it may have', async (t) => {
  const { answer, highest } = gauge(15)
  const hooks = await receiver(t, answer)
  await endpoint(db, hooks.url())
  await owe(db, hooks.url(), 300)
  for (let n = 0; n < 8; n++) dispatcher(t, db, { maxInFlightPerEndpoint: 5 }).dispatcher.start()
  await hooks.waitFor(300)
  await eventually(async () => assert.equal(await inFlight(hooks.url()), 0))
  assert.equal(highest(), 5)
  assert.equal(hooks.requests.length, 300)
})

test('an endpoint starts with few slots, and has as many as it may after some successes', async (t) => {
  const { answer, seen, highest } = gauge(20)
  const hooks = await receiver(t, answer)
  await owe(db, hooks.url(), 200)
  dispatcher(t, db, { maxInFlightPerEndpoint: 32 }).dispatcher.start()
  await hooks.waitFor(200)
  assert.ok(Math.max(...seen.slice(0, 5).map((one) => one.underWay)) <= 4)
  assert.equal(highest(), 32)
})

test('an endpoint that has all it may have goes on as soon as there is room, and not at the poll', async (t) => {
  const { answer, highest } = gauge(200)
  const hooks = await receiver(t, answer)
  await endpoint(db, hooks.url())
  dispatcher(t, db, { maxInFlightPerEndpoint: 2, pollIntervalMs: 3_600_000 }).dispatcher.start()
  await owe(db, hooks.url(), 12)
  await db.query(`select pg_notify('webhook_outbox', '')`)
  await hooks.waitFor(12, { timeoutMs: 5_000 })
  assert.equal(highest(), 2)
})

test('whatever becomes of a delivery, it is no longer in flight', async () => {
  await endpoint(db, url)
  await owe(db, url, 6)
  const [a, b, c, d, e, f] = await claimDue(db)
  assert.equal(await inFlight(), 6)
  const handedBack = { ...failed(c!), kind: 'handed-back' as const }
  await settleAll(db, [delivered(a!), failed(b!), handedBack as never, { claimed: d!, kind: 'released' }])
  assert.equal(await inFlight(), 2)
  await db.query(`update webhook_outbox set lease_until = now() - interval '1 ms' where id = any($1)`, [
    [e!.id, f!.id],
  ])
  assert.equal(await reclaim(), 2)
  assert.equal(await inFlight(), 0)
  await settleAll(db, [delivered(e!), delivered(a!)])
  assert.equal(await inFlight(), 0, 'what comes too late is not counted twice')
})

test('what a shutdown hands back, and what was not sent for it, says nothing of the endpoint', async () => {
  await endpoint(db, url, { last_status: '200', last_error: `'before'` })
  await owe(db, url, 2)
  const [a, b] = await claimDue(db)
  const handedBack = { ...failed(a!), kind: 'handed-back' as const, status: null }
  await settleAll(db, [handedBack as never, { claimed: b!, kind: 'released' }])
  const { failures, last_status, last_error } = await endpointOf(db, url)
  assert.deepEqual(
    { failures, last_status, last_error },
    { failures: 0, last_status: 200, last_error: 'before' },
  )
  const again = await claimDue(db)
  assert.deepEqual(
    again.map(({ id }) => id),
    [a!.id, b!.id],
    'each has its place still',
  )
})

test('the leases of a dispatcher that was killed hold its slots until they expire, and no longer', async (t) => {
  const hooks = await receiver(t, 'hang')
  await endpoint(db, hooks.url())
  await owe(db, hooks.url(), 10)
  const killed = startServiceProcess({
    DATABASE_URL: db.url,
    ROLE: 'dispatcher',
    ADDRESS_POLICY: 'loopback',
    LEASE: '3s',
    DELIVERY_TIMEOUT: '1s',
    RETRY_SCHEDULE: '60s',
    MAX_IN_FLIGHT_PER_ENDPOINT: '3',
  })
  onCleanup(t, () => killed.stop())
  await hooks.waitFor(3)
  killed.child.kill('SIGKILL')
  await killed.exit
  await eventually(async () =>
    assert.equal(
      (
        await db.query(
          `select from pg_stat_activity where application_name = 'webhook-outbox dispatcher' and datname = current_database()`,
        )
      ).length,
      0,
    ),
  )
  hooks.setAnswer({ status: 200 })
  assert.equal(await inFlight(hooks.url()), 3)
  dispatcher(t, db, { maxInFlightPerEndpoint: 3, leaseMs: 3_000, deliveryTimeoutMs: 500 }).dispatcher.start()
  await hooks.waitFor(13)
  const [lease] = await db.query<{ at: number }>(
    `select extract(epoch from started_at)::float8 * 1000 + 3000 as at from webhook_attempts where error like 'lost%' limit 1`,
  )
  const next = hooks.requests[3]!.receivedAt.getTime()
  assert.ok(next >= lease!.at - 5 && next < lease!.at + 2_000, `${next - lease!.at} ms after the leases`)
  await eventually(async () => assert.equal(await inFlight(hooks.url()), 0))
  assert.equal(await reconcile(), 0)
})

for (const [name, statement, left] of [
  [
    'deletes',
    'delete from webhook_outbox where id in (select id from webhook_outbox order by id limit 2)',
    2,
  ],
  ['truncates', 'truncate webhook_outbox', 0],
  ['makes pending', `update webhook_outbox set state = 'pending', lease_token = null, lease_until = null`, 0],
  ['moves to another URL', `update webhook_outbox set url = 'http://elsewhere.example/'`, 0],
] as const) {
  test(`where an operator ${name} what is in flight, the count is set right by the upkeep`, async () => {
    await endpoint(db, url)
    await endpoint(db, 'http://elsewhere.example/')
    await owe(db, url, 4)
    const claimed = await claimDue(db)
    await db.query(statement)
    await settleAll(
      db,
      claimed.slice(0, 1).map((one) => delivered(one)),
    )
    await reconcile()
    const rows = await db.query<{ counted: number; held: number }>(
      `select (select c.claimed - e.settled from webhook_claims c where c.endpoint_id = e.id)::integer as counted,
         (select count(*)::integer from webhook_outbox o where o.endpoint_id = e.id and o.state = 'delivering') as held
       from webhook_endpoints e`,
    )
    for (const { counted, held } of rows) assert.equal(counted, held)
    assert.equal(await inFlight(), left)
    assert.equal(await reconcile(), 0)
  })
}

test('a state that only SQL can give is not counted as in flight', async () => {
  await endpoint(db, url)
  await owe(db, url, 1, { state: `'delivering'` })
  assert.equal(await reconcile(), 0)
  await reclaim()
  assert.equal(await inFlight(), 0)
  assert.equal((await claimDue(db)).length, 1)
})

test('an endpoint that nobody knows yet counts as slow, until its first 2xx', async () => {
  await owe(db, url, 10)
  const [first, second] = await claimDue(db, { perEndpoint: 2 })
  assert.equal(first?.slow, true)
  await settleAll(db, [failed(first)])
  assert.equal((await endpointOf(db, url)).slow, true)
  await settleAll(db, [delivered(second!, 999)])
  assert.equal((await endpointOf(db, url)).slow, false)
  const [third] = await claimDue(db, { perEndpoint: 1 })
  assert.equal(third?.slow, false)
  await settleAll(db, [delivered(third, 1_000)])
  assert.equal((await endpointOf(db, url)).slow, true)
})

for (const known of ['unknown', 'known as quick'] as const) {
  test(`twelve receivers that hang, ${known} before, hold half of the slots at most, and the others flow`, async (t) => {
    const hung = await receiver(t, 'hang')
    const quick = await receiver(t)
    const paths = Array.from({ length: 12 }, (_, n) => hung.url(`/${n}`))
    await endpoint(db, quick.url())
    if (known !== 'unknown') for (const path of paths) await endpoint(db, path)
    dispatcher(t, db, {
      maxInFlight: 32,
      maxInFlightPerEndpoint: 16,
      // None of them ends while the test runs.
      deliveryTimeoutMs: 60_000,
      leaseMs: 70_000,
      shutdownGraceMs: 10,
      pollIntervalMs: 50,
    }).dispatcher.start()
    for (const path of paths) await owe(db, path)
    await hung.waitFor(12)
    const since = performance.now()
    // Known as quick, they are found out when they have not answered for a while.
    await eventually(() => assert.ok(known === 'unknown' || performance.now() - since >= 250))
    for (const path of paths) await owe(db, path, 40)
    await hung.waitFor(16)
    await owe(db, quick.url(), 200)
    await quick.waitFor(200)
    assert.equal(hung.requests.length, 16)
  })
}

test('slow endpoints share what they may have: each has its turn, however much the others are owed', async () => {
  const urls = Array.from({ length: 40 }, (_, n) => `http://slow-${n}.example/`)
  for (const one of urls) {
    await endpoint(db, one, { slow: 'true' })
    await owe(db, one, 20)
  }
  const served = new Map<string, number>()
  let held: Awaited<ReturnType<typeof claimDue>> = []
  for (let round = 1; round <= 12; round++) {
    const claimed = await claimDue(db, { limit: 16, perEndpoint: 4, slowBudget: 8 - held.length })
    assert.ok(claimed.length + held.length <= 8)
    for (const { endpointId } of claimed) served.set(endpointId, (served.get(endpointId) ?? 0) + 1)
    held.push(...claimed)
    // Half of them answer, after two seconds.
    await settleAll(
      db,
      held.slice(0, 4).map((one) => delivered(one, 2_000)),
    )
    held = held.slice(4)
  }
  assert.equal(served.size, 40)
  assert.ok(Math.max(...served.values()) <= 2)
})

test('a failing endpoint does not keep an unknown one from its first delivery', async (t) => {
  const refused = await refusedUrl()
  const hooks = await receiver(t)
  await owe(db, refused, 500)
  dispatcher(t, db, { maxInFlight: 16, retrySchedule: [60_000] }).dispatcher.start()
  await owe(db, hooks.url(), 20)
  await hooks.waitFor(20)
})

test('where half of many endpoints begin to hang, all at once, the others go on', async (t) => {
  const hung = await receiver(t)
  const quick = await receiver(t)
  const paths = ['/1', '/2', '/3', '/4']
  for (const path of paths) {
    await endpoint(db, hung.url(path))
    await endpoint(db, quick.url(path))
    await owe(db, hung.url(path), 100)
    await owe(db, quick.url(path), 100)
  }
  hung.setAnswer((_request, n) => (n > 40 ? 'hang' : { status: 200 }))
  dispatcher(t, db, {
    maxInFlight: 32,
    maxInFlightPerEndpoint: 16,
    deliveryTimeoutMs: 60_000,
    leaseMs: 70_000,
    shutdownGraceMs: 10,
  }).dispatcher.start()
  await quick.waitFor(400, { timeoutMs: 25_000 })
})

test('a dispatcher gives an endpoint its share of the slots, and counts what it holds already', async () => {
  const urls = ['http://a.example/', 'http://b.example/', 'http://c.example/', 'http://d.example/']
  for (const one of urls) {
    await endpoint(db, one)
    await owe(db, one, 40)
  }
  const options = { maxInFlight: 40, perEndpoint: 30, limit: 40 }
  const counts = (claimed: { endpointId: string }[]) =>
    [...Map.groupBy(claimed, ({ endpointId }) => endpointId).values()].map(({ length }) => length)
  const first = await claimDue(db, options)
  assert.deepEqual(counts(first), [10, 10, 10, 10])
  await settleAll(
    db,
    first.slice(10).map((one) => delivered(one)),
  )
  const held = { [first[0]!.endpointId]: 10 }
  assert.deepEqual(counts(await claimDue(db, { ...options, held })), [10, 10, 10], 'the first has its share')
})
