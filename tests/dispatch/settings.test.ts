import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { kyselyOver } from '../../src/database/connection.ts'
import { discardExpired } from '../../src/dispatch/expire.ts'
import { reclaimExpired } from '../../src/dispatch/reclaim.ts'
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
  settleAll,
} from '../support/endpoints.ts'
import { eventually } from '../support/eventually.ts'

/** What an endpoint has of its own, instead of the configuration's. */
const url = 'http://receiver.example/hook'
let db: TestDatabase

before(async () => {
  db = await createTestDatabase()
})
after(() => db.drop())
beforeEach(() => clear(db))

test('its own limit in flight wins, be it lower or higher', async (t) => {
  for (const [own, configured] of [
    [2, 16],
    [24, 4],
  ] as const) {
    const { answer, highest } = gauge(20)
    const hooks = await receiver(t, answer)
    await endpoint(db, hooks.url(), { max_in_flight: String(own) })
    await owe(db, hooks.url(), 80)
    const running = dispatcher(t, db, { maxInFlightPerEndpoint: configured })
    running.dispatcher.start()
    await hooks.waitFor(80)
    await running.stop()
    assert.equal(highest(), own)
  }
})

test('slots grow up to its own limit, and not to the one of the configuration', async () => {
  await endpoint(db, url, { slots: '3', max_in_flight: '5' })
  await owe(db, url, 2)
  const [first, second] = await claimDue(db)
  await settleAll(db, [delivered(first!)], 64)
  assert.equal((await endpointOf(db, url)).slots, 5)
  await settleAll(db, [delivered(second!)], 64)
  assert.equal((await endpointOf(db, url)).slots, 5)
})

test('its own retry schedule wins; an empty one means no retries', async (t) => {
  const hooks = await receiver(t, { status: 500 })
  await endpoint(db, hooks.url(), { retry_schedule: `'{10 ms, 20 ms}'` })
  await endpoint(db, hooks.url('/never'), { retry_schedule: `'{}'` })
  await owe(db, hooks.url())
  await owe(db, hooks.url('/never'))
  dispatcher(t, db, { retrySchedule: [3_600_000] }).dispatcher.start()
  const dead = await eventually(async () => {
    const rows = await db.query('select url, attempts from webhook_dead_letters order by attempts')
    assert.equal(rows.length, 2)
    return rows
  })
  assert.deepEqual(dead, [
    { url: hooks.url('/never'), attempts: 1 },
    { url: hooks.url(), attempts: 3 },
  ])
})

test('leases that expire count by its own schedule', async () => {
  await endpoint(db, url, { retry_schedule: `'{}'` })
  await owe(db, url)
  await claimDue(db)
  await db.query(`update webhook_outbox set lease_until = now() - interval '1 ms'`)
  assert.equal(await reclaimExpired(db.pool, { leaseMs: 10_000, maxAttempts: 4 }), 1)
  assert.deepEqual(await db.query('select outcome from webhook_history'), [{ outcome: 'dead' }])
})

test('its own deadline wins', async (t) => {
  const hooks = await receiver(t, 'hang')
  await endpoint(db, hooks.url(), { timeout: `'50 ms'`, retry_schedule: `'{}'` })
  await owe(db, hooks.url())
  dispatcher(t, db, { deliveryTimeoutMs: 20_000, leaseMs: 60_000 }).dispatcher.start()
  const [row] = await eventually(async () => {
    const rows = await db.query<{ last_error: string }>('select last_error from webhook_history')
    assert.equal(rows.length, 1)
    return rows
  })
  assert.match(row!.last_error, /timed out after 50 ms/)
})

test('a deadline of its own that the lease has no room for is cut to what there is', async (t) => {
  const hooks = await receiver(t, 'hang')
  await endpoint(db, hooks.url(), { timeout: `'1 hour'`, retry_schedule: `'{}'` })
  await owe(db, hooks.url())
  dispatcher(t, db, { deliveryTimeoutMs: 20, leaseMs: 2_200 }).dispatcher.start()
  const [row] = await eventually(async () => {
    const rows = await db.query<{ last_error: string }>('select last_error from webhook_history')
    assert.equal(rows.length, 1)
    return rows
  })
  assert.match(row!.last_error, /timed out after 200 ms/)
})

test('its headers are sent beside those that each delivery has', async (t) => {
  const hooks = await receiver(t)
  await endpoint(db, hooks.url(), {
    headers: `'{"authorization": "Bearer one", "X-Team": "ops"}'`,
  })
  await owe(db, hooks.url())
  dispatcher(t, db).dispatcher.start()
  const [request] = await hooks.waitFor(1)
  const [row] = await db.query<{ event_id: string }>('select event_id from webhook_events')
  assert.deepEqual(
    [request!.headers.authorization, request!.headers['x-team'], request!.headers['webhook-id']],
    ['Bearer one', 'ops', row!.event_id],
  )
})

for (const [header, value] of [
  ['x-token', 'line\\nbreak'],
  ['Webhook-Id', 'break'],
  ['Host', 'break'],
  ['a b', 'break'],
] as const) {
  test(`a header ${header} that cannot be sent fails only what is sent to its endpoint, and is not shown`, async (t) => {
    const hooks = await receiver(t)
    await endpoint(db, hooks.url(), { headers: `'{"${header}": "${value}"}'`, retry_schedule: `'{}'` })
    await endpoint(db, hooks.url('/other'))
    await owe(db, hooks.url())
    await owe(db, hooks.url('/other'))
    const running = dispatcher(t, db)
    running.dispatcher.start()
    await hooks.waitFor(({ path }) => path === '/other')
    const [row] = await eventually(async () => {
      const rows = await db.query<{ last_error: string; recoverable: boolean }>(
        `select last_error, recoverable from webhook_history where outcome = 'dead'`,
      )
      assert.equal(rows.length, 1)
      return rows
    })
    assert.equal(row!.last_error, `nothing was sent: the header ${header} of its endpoint is not valid`)
    assert.equal(row!.recoverable, true)
    assert.doesNotMatch(JSON.stringify(running.lines), /break/)
  })
}

test('its own limit of age wins, be it lower or higher, also where a retry waits', async () => {
  await endpoint(db, url, { max_owed_age: `'1 hour'` })
  await endpoint(db, 'http://patient.example/', { max_owed_age: `'30 days'` })
  const old = (age: string, later = '0') => ({
    created_at: `now() - interval '${age}'`,
    next_attempt_at: `now() - interval '${age}' + interval '${later}'`,
  })
  await owe(db, url, 1, old('2 hours'))
  await owe(db, url, 1, old('2 hours', '10 minutes'))
  await owe(db, url, 1, old('30 minutes'))
  await owe(db, 'http://patient.example/', 1, old('20 days'))
  await owe(db, 'http://patient.example/', 1, old('31 days'))
  assert.equal(await discardExpired(kyselyOver(db.pool), 14 * 86_400_000), 3)
  assert.equal(await discardExpired(kyselyOver(db.pool), 14 * 86_400_000), 0)
  assert.equal((await db.query('select from webhook_outbox')).length, 2)
})

test('what cannot be a setting is refused by the column', async () => {
  await endpoint(db, url)
  for (const [column, value] of [
    ['max_in_flight', '0'],
    ['retry_schedule', `'{-1 s}'`],
    ['retry_schedule', `array(select interval '1 s' from generate_series(1, 101))`],
    ['timeout', `'0'`],
    ['timeout', `'-1 s'`],
    ['max_owed_age', `'-1 s'`],
    ['headers', `'["a"]'`],
    ['headers', `'{"a": 1}'`],
  ] as const) {
    await assert.rejects(db.query(`update webhook_endpoints set ${column} = ${value}`), {
      code: '23514',
      constraint: `webhook_endpoints_${column}_check`,
    })
  }
})

test('an endpoint that fails is tried with half as many after each batch, and with all after a success', async () => {
  await endpoint(db, url, { slots: '16' })
  await owe(db, url, 60)
  for (const slots of [8, 4, 2, 1, 1]) {
    await settleAll(
      db,
      (await claimDue(db, { perEndpoint: 16 })).map((one) => failed(one)),
    )
    assert.equal((await endpointOf(db, url)).slots, slots)
  }
  for (const slots of [2, 4, 8, 16, 16]) {
    const claimed = await claimDue(db, { perEndpoint: 16 })
    await settleAll(
      db,
      claimed.map((one) => delivered(one)),
    )
    assert.equal((await endpointOf(db, url)).slots, slots)
  }
})
