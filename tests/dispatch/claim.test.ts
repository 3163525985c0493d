import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import type pg from 'pg'
import { claim as claimBatch, type Claimed } from '../../src/dispatch/claim.ts'
import { reclaimExpired } from '../../src/dispatch/reclaim.ts'
import { settle as settleBatch, type Settlement } from '../../src/dispatch/settle.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { claimEverything, rowsRead } from '../support/endpoints.ts'

const options = { ...claimEverything, limit: 100 }
const maxAttempts = 4
let db: TestDatabase

before(async () => {
  db = await createTestDatabase()
})
after(() => db.drop())
beforeEach(() => db.query('truncate webhook_outbox, webhook_history, webhook_attempts, webhook_endpoints'))

/** What is due, first given to dispatchers that let their leases expire. */
async function claim(client: pg.Pool | pg.PoolClient, opts = options): Promise<Claimed[]> {
  await reclaimExpired(client, { leaseMs: opts.leaseMs, maxAttempts })
  return (await claimBatch(client, opts)).claimed
}

async function settle(pool: pg.Pool, settlements: Settlement[]): Promise<Set<string>> {
  return (await settleBatch(pool, settlements, { perEndpoint: 1_000 })).changed
}

/** Rows put in by SQL, as an operator or a test may; `columns` are further columns with their SQL expressions. */
async function owe(count: number, columns: Record<string, string> = {}): Promise<void> {
  const names = Object.keys(columns).map((name) => `, ${name}`)
  const values = Object.values(columns).map((value) => `, ${value}`)
  await db.query(
    `insert into webhook_outbox (event_type, entity_type, entity_id, task_id, url, payload ${names.join('')})
     select 'task.completed', 'task', 't' || n, 't' || n, 'http://127.0.0.1:9/', '{}' ${values.join('')}
     from generate_series(1, ${count}) n`,
  )
  // An endpoint that has proved itself may have as many in flight as it is allowed.
  await db.query(
    `insert into webhook_endpoints (id, url, slots, slow) select distinct endpoint_id, url, 1000, false from webhook_outbox
     on conflict do nothing`,
  )
}

function settled(kind: 'delivered' | 'dead', claimed: Claimed): Settlement {
  const attempt = { claimed, startedAt: new Date(), durationMs: 5, response: 'ok' }
  return kind === 'delivered'
    ? { kind, ...attempt, status: 200, error: null }
    : { kind, ...attempt, status: 400, error: '400 Bad Request', recoverable: false, pause: false }
}

test('a claim counts the attempt and leases the row', async () => {
  await owe(1)
  const [claimed] = await claim(db.pool, options)
  assert.equal(claimed?.attempt, 1)
  const [row] = await db.query(
    `select state, attempts, lease_token, lease_until > now() + interval '9 s' and lease_until <= now() + interval '10 s' as leased
     from webhook_outbox`,
  )
  assert.deepEqual(row, { state: 'delivering', attempts: 1, lease_token: claimed.leaseToken, leased: true })
  assert.deepEqual(await claim(db.pool, options), [])
})

test('what waits is not claimed before its time, and the next due time is known', async () => {
  await owe(1, { next_attempt_at: `now() + interval '30 s'` })
  const { claimed, nextDueInMs } = await claimBatch(db.pool, options)
  assert.deepEqual(claimed, [])
  assert.ok(nextDueInMs !== null && nextDueInMs > 25_000 && nextDueInMs <= 30_000, String(nextDueInMs))
  await db.query('update webhook_outbox set next_attempt_at = now()')
  assert.equal((await claim(db.pool, options)).length, 1)
})

test('the oldest due comes first', async () => {
  await owe(5, { next_attempt_at: `now() - n * interval '1 s'` })
  const claimed = await claim(db.pool, { ...options, limit: 2 })
  const rows = await db.query<{ id: string; entity_id: string }>('select id, entity_id from webhook_outbox')
  const names = claimed.map((c) => rows.find((row) => row.id === c.id)?.entity_id).sort()
  assert.deepEqual(names, ['t4', 't5'])
})

test('eight dispatchers that claim at once get each row once', async () => {
  await owe(400)
  const clients = await Promise.all(Array.from({ length: 8 }, () => db.pool.connect()))
  try {
    const batches = await Promise.all(clients.map((client) => claim(client, { ...options, limit: 50 })))
    const ids = batches.flat().map((claimed) => claimed.id)
    assert.equal(new Set(ids).size, ids.length)
    assert.equal(ids.length, 400)
  } finally {
    for (const client of clients) client.release()
  }
})

test('a row that another transaction has locked does not hold up the claim of the others', async () => {
  await owe(3)
  const [client, other] = [await db.pool.connect(), await db.pool.connect()]
  try {
    await client.query('begin')
    await client.query(`select from webhook_outbox where entity_id = 't2' for update`)
    await other.query(`set lock_timeout = '1s'`)
    assert.equal((await claim(other, options)).length, 2)
  } finally {
    await client.query('rollback')
    client.release()
    await other.query('reset lock_timeout')
    other.release()
  }
})

test('a delivery whose lease expired is claimed again, and its attempt is recorded as lost', async () => {
  await owe(1)
  const [first] = await claim(db.pool, options)
  await db.query(`update webhook_outbox set lease_until = now() - interval '1 ms'`)
  const [second] = await claim(db.pool, options)
  assert.equal(second?.attempt, 2)
  assert.notEqual(second.leaseToken, first?.leaseToken)
  const attempts = await db.query('select attempt, status, duration_ms, error from webhook_attempts')
  assert.deepEqual(attempts, [
    {
      attempt: 1,
      status: null,
      duration_ms: null,
      error: 'lost: the dispatcher died or stalled before it recorded what came of it',
    },
  ])
})

for (const [kind, outcome] of [
  ['delivered', 'delivered'],
  ['dead', 'dead'],
] as const) {
  test(`a stale token changes no row: ${kind}`, async () => {
    await owe(1)
    const [stale] = await claim(db.pool, options)
    await db.query(`update webhook_outbox set lease_until = now() - interval '1 ms'`)
    const [current] = await claim(db.pool, options)
    assert.equal((await settle(db.pool, [settled(kind, stale!)])).size, 0)
    assert.equal((await db.query('select from webhook_outbox')).length, 1)
    assert.equal((await settle(db.pool, [settled(kind, current!)])).size, 1)
    assert.deepEqual(await db.query('select outcome, attempts from webhook_history'), [
      { outcome, attempts: 2 },
    ])
  })
}

for (const kind of ['retry', 'handed-back', 'released'] as const) {
  test(`a stale token changes no row: ${kind}`, async () => {
    await owe(1)
    const [stale] = await claim(db.pool, options)
    await db.query(`update webhook_outbox set lease_until = now() - interval '1 ms'`)
    await claim(db.pool, options)
    const before = await db.query('select * from webhook_outbox')
    const settlement: Settlement = { ...settled('dead', stale!), kind, waitMs: 0 } as Settlement
    assert.equal((await settle(db.pool, [settlement])).size, 0)
    assert.deepEqual(await db.query('select * from webhook_outbox'), before)
  })
}

test('rows that were lost together twice come back one by one, within a lease', async () => {
  await owe(20)
  for (const expected of [20, 20, 0]) {
    assert.equal((await claim(db.pool, options)).length, expected)
    await db.query(
      `update webhook_outbox set lease_until = now() - interval '1 ms' where lease_until is not null`,
    )
  }
  const rows = await db.query<{ state: string; attempts: number; ms: number }>(
    `select state, attempts, (extract(epoch from next_attempt_at - now()) * 1000)::float8 as ms from webhook_outbox`,
  )
  assert.ok(rows.every((row) => row.state === 'pending' && row.attempts === 2 && row.ms <= options.leaseMs))
  const moments = new Set(rows.map((row) => Math.round(row.ms / 100)))
  assert.ok(moments.size > 10, `${moments.size} moments`)
  assert.equal((await db.query(`select from webhook_attempts where error like 'lost:%'`)).length, 40)
})

test('a row whose last attempt was lost ends as dead at the next claim', async () => {
  await owe(2)
  await db.query(
    `update webhook_outbox set state = 'delivering', attempts = 4, lease_token = gen_random_uuid(),
       lease_until = now() - interval '1 ms' where entity_id = 't1'`,
  )
  const claimed = await claim(db.pool, options)
  assert.equal(claimed.length, 1)
  const history = await db.query('select entity_id, outcome, attempts, last_error from webhook_history')
  assert.deepEqual(history, [
    {
      entity_id: 't1',
      outcome: 'dead',
      attempts: 4,
      last_error: 'the dispatcher died or stalled during the last attempt',
    },
  ])
  assert.equal((await db.query('select from webhook_attempts')).length, 1)
})

test('a released row is due at once, and its attempt is not counted', async () => {
  await owe(1)
  const [claimed] = await claim(db.pool, options)
  await settle(db.pool, [{ claimed: claimed!, kind: 'released' }])
  assert.equal((await db.query('select from webhook_attempts')).length, 0)
  const [again] = await claim(db.pool, options)
  assert.equal(again?.attempt, 1)
})

test('a row handed back is due at once, and its retry schedule has not moved', async () => {
  await owe(1)
  const [claimed] = await claim(db.pool, options)
  const aborted = {
    ...settled('dead', claimed!),
    status: null,
    error: 'aborted',
    kind: 'handed-back',
  } as Settlement
  await settle(db.pool, [aborted])
  assert.equal((await db.query('select from webhook_attempts')).length, 1)
  const [again] = await claim(db.pool, options)
  assert.equal(again?.attempt, 2)
  assert.equal(again.attemptsBefore, 1)
})

test('a row in a state that only SQL could put it in is delivered all the same', async () => {
  await owe(1, { state: `'delivering'` })
  await owe(1, { lease_until: `now() - interval '1 s'` })
  assert.equal((await claim(db.pool, options)).length, 2)
})

test('a claim reads what is due, with a million rows that wait for later', async () => {
  await owe(1_000_000, { next_attempt_at: `now() + interval '1 hour' + n * interval '1 s'` })
  await owe(10)
  await db.query('analyze webhook_outbox')
  const client = await db.pool.connect()
  try {
    await client.query('begin')
    const before = await rowsRead(client)
    assert.equal((await claim(client, options)).length, 10)
    const rows = (await rowsRead(client)) - before
    await client.query('commit')
    assert.ok(rows < 200, `read ${rows} rows`)
  } finally {
    client.release()
  }
})
