import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { kyselyOver } from '../../src/database/connection.ts'
import { reclaimExpired } from '../../src/dispatch/reclaim.ts'
import { createRecoverer, recoverDead } from '../../src/dispatch/recover.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { captureLog } from '../support/dispatcher.ts'
import {
  claimDue,
  clear,
  delivered,
  died,
  dispatcher,
  endpoint,
  endpointOf,
  failed,
  open,
  owe,
  receiver,
  refusedUrl,
  settleAll,
} from '../support/endpoints.ts'
import { eventually } from '../support/eventually.ts'
import type { Answer } from '../support/receiver.ts'
import { startServiceProcess } from '../support/service-process.ts'

const url = 'http://receiver.example/hook'
const day = 86_400_000
let db: TestDatabase

before(async () => {
  db = await createTestDatabase()
})
after(() => db.drop())
beforeEach(() => clear(db))

const recover = async (windowMs = day): Promise<number> => {
  const recovered = await recoverDead(kyselyOver(db.pool), windowMs)
  return [...recovered.values()].reduce((sum, events) => sum + events, 0)
}
const dead = async (): Promise<string[]> =>
  (
    await db.query<{ id: string }>('select entity_id as id from webhook_dead_letters order by created_at')
  ).map(({ id }) => id)
const owed = async (): Promise<string[]> =>
  (
    await db.query<{ id: string }>('select entity_id as id from webhook_outbox order by webhook_outbox.id')
  ).map(({ id }) => id)
const hurry = (column: 'recover_at' | 'probe_at') =>
  db.query(`update webhook_endpoints set ${column} = now() where ${column} is not null`)

/** Events that were tried, died as recoverable ones, and are as many seconds old as the endpoint owes them. */
async function dieOf(to: string, count: number): Promise<void> {
  await owe(db, to, count, { created_at: `now() - ($2::integer + 1 - n) * interval '1 s'` })
  await db.query(
    `insert into webhook_endpoints (id, url, slots, slow) values (md5($1)::uuid, $1, 1000, false)
     on conflict (id) do update set slots = 1000`,
    [to],
  )
  await settleAll(
    db,
    (await claimDue(db)).map((one) => died(one, true)),
  )
  await db.query('update webhook_endpoints set slots = 16')
}

for (const [kind, answer, recoverable] of [
  ['500', { status: 500 }, true],
  ['429', { status: 429 }, true],
  ['a timeout', 'hang', true],
  ['a reset', 'reset', true],
  ['a refused connection', null, true],
  ['404', { status: 404 }, false],
  ['410', { status: 410 }, false],
  ['301', { status: 301 }, false],
  ['a URL that is none', 'no URL', false],
] as [string, Answer | null | 'no URL', boolean][]) {
  test(`what died of ${kind} is ${recoverable ? 'tried again' : 'dead for good'}`, async (t) => {
    const to =
      answer === null
        ? await refusedUrl()
        : answer === 'no URL'
          ? 'http://a b/'
          : (await receiver(t, answer)).url()
    await owe(db, to)
    const it = dispatcher(t, db, { retrySchedule: [], deliveryTimeoutMs: 100 })
    await it.dispatcher.runOnce()
    assert.deepEqual(await dead(), ['t1'])
    const { owes_dead, recover_in, recover_wait_s } = await endpointOf(db, to)
    assert.equal(owes_dead, recoverable)
    if (!recoverable) {
      assert.equal(recover_in, null)
      return
    }
    assert.equal(recover_wait_s, 30)
    assert.ok(recover_in! > 28 && recover_in! <= 30)
    assert.equal(await recover(), 0, 'not before its time')
    await hurry('recover_at')
    assert.equal(await recover(), 1)
    assert.deepEqual([await dead(), await owed()], [[], ['t1']])
  })
}

test('a single event is tried once after 30 s, then at doubling waits of up to 4 and a half minutes, each attempt on record', async (t) => {
  const hooks = await receiver(t, { status: 503 })
  await owe(db, hooks.url(), 1, { created_at: `now() - interval '1 minute'` })
  const it = dispatcher(t, db, { retrySchedule: [1] })
  await it.dispatcher.runOnce()
  await db.query('update webhook_outbox set next_attempt_at = now()')
  await it.dispatcher.runOnce()
  const [before] = await db.query('select event_id, created_at from webhook_dead_letters')
  const waits = []
  for (let n = 1; n <= 7; n++) {
    const { recover_in, recover_wait_s } = await endpointOf(db, hooks.url())
    assert.ok(
      Math.abs(recover_in! - recover_wait_s!) < 2,
      `in ${recover_in} s, by a wait of ${recover_wait_s} s`,
    )
    waits.push(recover_wait_s)
    assert.deepEqual(await dead(), ['t1'], 'between its tries it is dead')
    assert.equal(await recover(), 0)
    await hurry('recover_at')
    assert.equal(await recover(), 1)
    assert.equal(await it.dispatcher.runOnce(), 1)
    assert.equal(await it.dispatcher.runOnce(), 0, 'it is tried once')
  }
  assert.deepEqual(waits, [30, 60, 120, 240, 270, 270, 270])
  const [row] = await db.query(
    `select event_id, created_at, attempts, last_status, (select count(*)::integer from webhook_attempts) as logged
     from webhook_dead_letters`,
  )
  assert.deepEqual(row, { ...before, attempts: 9, last_status: 503, logged: 9 })
  assert.deepEqual(
    hooks.requests.map((request) => request.headers['webhook-attempt']),
    Array.from({ length: 9 }, (_, n) => String(n + 1)),
  )
  assert.equal(new Set(hooks.requests.map((request) => request.headers['webhook-id'])).size, 1)
})

test('the first 2xx to any event brings the rest, in order of age and once each', async (t) => {
  const hooks = await receiver(t, { status: 200 })
  await dieOf(hooks.url(), 6)
  await owe(db, hooks.url(), 1, { entity_id: `'fresh'`, task_id: `'fresh'` })
  const it = dispatcher(t, db, { maxInFlightPerEndpoint: 1 })
  await it.dispatcher.runOnce()
  assert.equal((await dead()).length, 6)
  assert.equal(await recover(), 6)
  assert.equal(await recover(), 0)
  for (let n = 1; n <= 6; n++) assert.equal(await it.dispatcher.runOnce(), 1)
  assert.deepEqual(await owed(), [])
  const history = await db.query(
    'select entity_id, outcome, attempts from webhook_history order by settled_at',
  )
  assert.deepEqual(history, [
    { entity_id: 'fresh', outcome: 'delivered', attempts: 1 },
    ...[1, 2, 3, 4, 5, 6].map((n) => ({ entity_id: `t${n}`, outcome: 'delivered', attempts: 2 })),
  ])
  assert.equal((await endpointOf(db, hooks.url())).owes_dead, false)
})

test('the oldest is the one that tries, and its 2xx brings the others, in batches', async () => {
  await dieOf(url, 450)
  await hurry('recover_at')
  assert.equal(await recover(), 1)
  assert.deepEqual(await owed(), ['t1'])
  await settleAll(
    db,
    (await claimDue(db)).map((one) => delivered(one)),
  )
  assert.equal(await recover(), 449)
  assert.deepEqual(
    await owed(),
    Array.from({ length: 449 }, (_, n) => `t${n + 2}`),
  )
  const { owes_dead, slots } = await endpointOf(db, url)
  assert.deepEqual({ owes_dead, slots }, { owes_dead: false, slots: 1 }, 'at a growing pace')
})

test('what dies again after the rest was brought is tried at its waits, however often its endpoint succeeds', async () => {
  await endpoint(db, url)
  await dieOf(url, 1)
  const tries: number[] = []
  for (let n = 0; n < 40; n++) {
    await owe(db, url, 1, { entity_id: `'other'` })
    const claimed = await claimDue(db)
    // It takes every event but one.
    await settleAll(
      db,
      claimed.map((one) => (one.once ? died(one, true) : delivered(one))),
    )
    await owe(db, url, 1, { entity_id: `'other'` })
    await settleAll(
      db,
      (await claimDue(db)).map((one) => delivered(one)),
    )
    if ((await recover()) > 0) tries.push(n)
    // Fifteen seconds pass.
    await db.query(
      `update webhook_endpoints set recover_at = recover_at - interval '15 s', recovered_at = recovered_at - interval '15 s'`,
    )
  }
  const waits = tries.slice(1).map((n, index) => (n - tries[index]!) * 15)
  assert.equal(tries[0], 0)
  assert.deepEqual(waits.slice(0, 4), [30, 60, 120, 240])
  assert.equal((await owed()).length, 0)
})

test('what is older than the window stays dead', async () => {
  await dieOf(url, 3)
  await db.query(`update webhook_history set created_at = now() - interval '2 days' where entity_id <> 't2'`)
  await owe(db, url, 1, { entity_id: `'fresh'` })
  await settleAll(
    db,
    (await claimDue(db)).map((one) => delivered(one)),
  )
  assert.equal(await recover(), 1)
  assert.deepEqual((await dead()).sort(), ['t1', 't3'])
  assert.equal((await endpointOf(db, url)).owes_dead, false)
  await hurry('recover_at')
  assert.equal(await recover(), 0)
})

for (const [window, brought] of [
  ['0s', 0],
  ['24h', 1],
] as const) {
  test(`RECOVER_WINDOW=${window}: ${brought} of what is dead is tried again`, async (t) => {
    const hooks = await receiver(t)
    await dieOf(hooks.url(), 1)
    await owe(db, hooks.url(), 1, { entity_id: `'fresh'` })
    const service = startServiceProcess({
      DATABASE_URL: db.url,
      ROLE: 'dispatcher',
      ADDRESS_POLICY: 'loopback',
      RECOVER_WINDOW: window,
    })
    onCleanup(t, () => service.stop())
    await hooks.waitFor(1 + brought)
    // Long enough for the recoverer's next looks, where there is one.
    await service.waitForLine((line) => line.msg === 'delivered')
    await owe(db, hooks.url(), 1, { entity_id: `'last'`, next_attempt_at: `now() + interval '1200 ms'` })
    await hooks.waitFor(2 + brought)
    assert.equal(await service.stop(), 0)
    assert.equal((await dead()).length, 1 - brought)
  })
}

test('several recoverers bring each event back once', async () => {
  const urls = Array.from({ length: 12 }, (_, n) => `http://receiver-${n}.example/`)
  for (const one of urls) await dieOf(one, 40)
  await db.query('update webhook_endpoints set recover_at = now(), recover_rest = true')
  const recovered = await Promise.all(Array.from({ length: 6 }, () => recover()))
  assert.equal(
    recovered.reduce((sum, events) => sum + events, 0),
    480,
  )
  assert.equal((await owed()).length, 480)
  assert.deepEqual(await dead(), [])
})

test('what was brought back and is lost with its dispatcher is dead again, and may come back again', async () => {
  await dieOf(url, 1)
  await hurry('recover_at')
  await recover()
  assert.equal((await claimDue(db)).length, 1)
  await db.query(`update webhook_outbox set lease_until = now() - interval '1 ms'`)
  await reclaimExpired(db.pool, { leaseMs: 10_000, maxAttempts: 4 })
  assert.deepEqual(await dead(), ['t1'])
  await hurry('recover_at')
  assert.equal(await recover(), 1)
})

test('with an open breaker and nothing owed, the dead event is the probe: it is dead again where that fails', async (t) => {
  const hooks = await receiver(t, { status: 503 })
  await dieOf(hooks.url(), 2)
  await db.query(
    `update webhook_endpoints set recover_at = now(), ${Object.entries(open)
      .map(([column, value]) => `${column} = ${value}`)
      .join(', ')}`,
  )
  assert.equal(await recover(), 1)
  const it = dispatcher(t, db)
  assert.equal(await it.dispatcher.runOnce(), 1)
  assert.deepEqual([await dead(), await owed()], [['t1', 't2'], []])
  const { breaker, probe_wait_s, recover_wait_s } = await endpointOf(db, hooks.url())
  assert.deepEqual(
    { breaker, probe_wait_s, recover_wait_s },
    { breaker: 'open', probe_wait_s: 2, recover_wait_s: 60 },
  )
  hooks.setAnswer({ status: 200 })
  await hurry('recover_at')
  await hurry('probe_at')
  await recover()
  await it.dispatcher.runOnce()
  assert.equal((await endpointOf(db, hooks.url())).breaker, 'closed')
  assert.equal(await recover(), 1)
  await it.dispatcher.runOnce()
  assert.deepEqual([await dead(), await owed()], [[], []])
})

test('what is owed to a paused endpoint stays dead until it is resumed', async () => {
  await dieOf(url, 2)
  await hurry('recover_at')
  await db.query(`select webhook_pause_endpoint(md5($1)::uuid, 'maintenance')`, [url])
  assert.equal(await recover(), 0)
  await db.query('select webhook_resume_endpoint(md5($1)::uuid)', [url])
  assert.equal(await recover(), 1)
})

test('a receiver that was away gets everything by itself: what waited, and what had died', async (t) => {
  const hooks = await receiver(t, { status: 503 })
  const single = await receiver(t, 'reset')
  const it = dispatcher(t, db, { retrySchedule: [5, 5], pollIntervalMs: 100 })
  const recoverer = createRecoverer({ db: kyselyOver(db.pool), log: captureLog().log, windowMs: day })
  onCleanup(t, () => recoverer.stop())
  it.dispatcher.start()
  recoverer.start()
  await owe(db, single.url())
  await owe(db, hooks.url(), 9)
  await eventually(async () => assert.equal((await dead()).length, 10))
  await db.query(`update webhook_endpoints set failing_since = now() - interval '1 minute'`)
  await owe(db, hooks.url(), 60)
  await eventually(async () => assert.equal((await endpointOf(db, hooks.url())).breaker, 'open'))
  const tried = single.requests.length
  hooks.setAnswer({ status: 200 })
  single.setAnswer({ status: 200 })
  await hurry('probe_at')
  await hurry('recover_at')
  await eventually(async () => {
    const [row] = await db.query(
      `select count(*) filter (where state = 'delivered')::integer as delivered, count(*)::integer as all from webhook_events`,
    )
    assert.deepEqual(row, { delivered: 70, all: 70 })
  })
  assert.equal(single.requests.length, tried + 1)
})

test('what waits for a retry of its own is not touched by a recovery', async () => {
  await dieOf(url, 1)
  await owe(db, url, 1, { entity_id: `'retrying'` })
  await settleAll(
    db,
    (await claimDue(db)).map((one) => failed(one)),
  )
  await hurry('recover_at')
  await recover()
  const rows = await db.query(
    'select entity_id, once, attempts - attempts_before as tries from webhook_outbox order by 1',
  )
  assert.deepEqual(rows, [
    { entity_id: 'retrying', once: false, tries: 1 },
    { entity_id: 't1', once: true, tries: 0 },
  ])
})
