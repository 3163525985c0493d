import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { claim, type Claimed, ringStart } from '../../src/dispatch/claim.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import {
  claimEverything,
  clear,
  delivered,
  dispatcher,
  endpoint,
  endpointOf,
  open,
  owe,
  receiver,
  rowsRead,
  settleAll,
} from '../support/endpoints.ts'
import { eventually } from '../support/eventually.ts'
import { complete, runningTasks } from '../support/tasks.ts'

let db: TestDatabase

before(async () => {
  db = await createTestDatabase()
})
after(() => db.drop())
beforeEach(() => clear(db))

/** As many endpoints with `each` rows, due unless `next` says otherwise. */
async function oweMany(endpoints: number, each: number, next = 'now()', proven = true): Promise<void> {
  await db.query(
    `insert into webhook_outbox (event_type, entity_type, entity_id, url, payload, next_attempt_at)
     select 'task.completed', 'task', e || '-' || n, 'http://e' || e || '.example/', '{}', ${next}
     from generate_series(1, $1::integer) e, generate_series(1, $2::integer) n`,
    [endpoints, each],
  )
  if (!proven) return
  await db.query(
    `insert into webhook_endpoints (id, url, slots, slow) select distinct endpoint_id, url, 16, false from webhook_outbox`,
  )
}

/** Claims and delivers until nothing is due, going round the ring as a dispatcher does. */
async function drain(
  each: (claimed: Claimed[], claims: number) => Promise<void> | void,
  slowBudget = 64,
): Promise<number> {
  let at = ringStart
  let claims = 0
  for (let empty = false; !empty || at !== ringStart;) {
    if (at === ringStart) empty = true
    const { claimed, after: next } = await claim(db.pool, {
      ...claimEverything,
      limit: 64,
      perEndpoint: 16,
      slowBudget,
      after: at,
    })
    at = next
    claims++
    if (claimed.length > 0) empty = false
    await settleAll(
      db,
      claimed.map((one) => delivered(one)),
    )
    await each(claimed, claims)
  }
  return claims
}

test('2,000 endpoints with a few due each: the ring serves all, and claims little for nothing', async () => {
  await oweMany(2_000, 3)
  const served = new Set<string>()
  let deliveries = 0
  const claims = await drain((claimed) => {
    deliveries += claimed.length
    for (const { endpointId } of claimed) served.add(endpointId)
  })
  assert.equal(served.size, 2_000)
  assert.equal(deliveries, 6_000)
  assert.ok(claims <= 6_000 / 64 + 40, `${claims} claims`)
})

test('an endpoint waits for its turn as long as the ring is, however much those before it are owed', async () => {
  await oweMany(300, 16)
  const first = new Map<string, number>()
  let at = ringStart
  // Each turn takes as many as one endpoint may have: four endpoints a claim.
  for (let claims = 1; first.size < 300; claims++) {
    assert.ok(claims <= 100, `after 100 claims ${first.size} of 300 have had their turn`)
    const { claimed, after: next } = await claim(db.pool, {
      ...claimEverything,
      limit: 64,
      perEndpoint: 16,
      after: at,
    })
    at = next
    for (const { endpointId } of claimed) if (!first.has(endpointId)) first.set(endpointId, claims)
    await settleAll(
      db,
      claimed.map((one) => delivered(one)),
    )
    // What was served is owed as much again: in the past, before all others.
    await db.query(
      `insert into webhook_outbox (event_type, entity_type, entity_id, url, payload, next_attempt_at)
       select 'task.completed', 'task', 't', url, '{}', now() - interval '1 hour'
       from unnest($1::text[]) url`,
      [claimed.map(({ url }) => url)],
    )
  }
})

test('2,000 endpoints that nobody knows are served as well, within the share of the slow ones', async () => {
  await oweMany(2_000, 1, 'now()', false)
  let deliveries = 0
  await drain((claimed) => {
    deliveries += claimed.length
    assert.ok(claimed.length <= 32)
  }, 32)
  assert.equal(deliveries, 2_000)
})

test('claims that meet the same new endpoints at once do not wait for each other in a circle', async (t) => {
  await oweMany(200, 2, 'now()', false)
  // Slow enough to meet.
  await db.query(`
    create function slowly() returns trigger language plpgsql as 'begin perform pg_sleep(0.001); return new; end';
    create trigger slowly before insert on webhook_endpoints for each row execute function slowly()`)
  onCleanup(t, () => db.query('drop function slowly cascade'))
  const batches = await Promise.all(
    ['0', '4', '8', 'c'].map((digit) =>
      claim(db.pool, { ...claimEverything, limit: 40, after: ringStart.replace('0', digit) }),
    ),
  )
  const ids = batches.flatMap(({ claimed }) => claimed.map(({ id }) => id))
  assert.equal(new Set(ids).size, ids.length)
  assert.equal(ids.length, 160)
})

test('an endpoint with 100,000 due and an open breaker costs a claim nothing', async () => {
  const dead = 'http://dead.example/'
  await owe(db, dead, 100_000)
  await endpoint(db, dead, { ...open, probe_at: `now() + interval '1 hour'` })
  await oweManyMore(20)
  await db.query('analyze webhook_outbox')
  const client = await db.pool.connect()
  try {
    for (const expected of [40, 0]) {
      await client.query('begin')
      const before = await rowsRead(client)
      const { claimed } = await claim(client, claimEverything)
      const rows = (await rowsRead(client)) - before
      await client.query('commit')
      assert.equal(claimed.length, expected)
      assert.ok(rows < 300, `read ${rows} rows`)
    }
  } finally {
    client.release()
  }
})

async function oweManyMore(endpoints: number): Promise<void> {
  for (let n = 0; n < endpoints; n++) {
    const url = `http://healthy-${n}.example/`
    await endpoint(db, url)
    await owe(db, url, 2)
  }
}

async function asleep(): Promise<void> {
  await eventually(
    async () => {
      const locks = await db.query(
        `select from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock' and granted
         and database = (select oid from pg_database where datname = current_database())`,
      )
      assert.equal(locks.length, 1)
    },
    { description: 'a dispatcher sleeps' },
  )
}

for (const [waiting, next] of [
  ['wait for later', `now() + interval '1 hour'`],
  ['have open breakers', 'now()'],
] as const) {
  test(`a fresh event among 3,000 endpoints that ${waiting} wakes a dispatcher and is delivered at once`, async (t) => {
    await oweMany(3_000, 1, next)
    await db.query(
      `update webhook_endpoints set breaker = 'open', probe_wait = '1 s', probe_at = now() + interval '1 hour'`,
    )
    const hooks = await receiver(t)
    dispatcher(t, db, { pollIntervalMs: 3_600_000 }).dispatcher.start()
    for (let n = 1; n <= 5; n++) {
      await asleep()
      await complete(db, await runningTasks(db, hooks.url(`/${n}`)))
      await hooks.waitFor(n)
    }
  })
}

test('a retry among 3,000 endpoints that wait comes in its time', async (t) => {
  await oweMany(3_000, 1, `now() + interval '1 hour'`)
  const hooks = await receiver(t, (_, n) => ({ status: n === 1 ? 503 : 200 }))
  dispatcher(t, db, { pollIntervalMs: 3_600_000, retrySchedule: [300] }).dispatcher.start()
  await asleep()
  await complete(db, await runningTasks(db, hooks.url()))
  const [first, second] = await hooks.waitFor(2)
  assert.ok(second!.at - first!.at >= 300)
})

test('a dispatcher that sleeps wakes for the first probe of the whole ring', async (t) => {
  const hooks = await receiver(t)
  await oweMany(1_000, 1, `now() + interval '1 hour'`)
  // Wherever its id lies, others come after it and before it.
  await endpoint(db, hooks.url(), { ...open, probe_at: `now() + interval '1500 ms'` })
  await owe(db, hooks.url(), 3)
  dispatcher(t, db, { pollIntervalMs: 3_600_000 }).dispatcher.start()
  await hooks.waitFor(3, { timeoutMs: 5_000 })
  await eventually(async () => assert.equal((await endpointOf(db, hooks.url())).breaker, 'closed'))
})

test('a claim that sees only what waits says when the first of it is due', async () => {
  await oweMany(500, 1, `now() + e * interval '1 minute'`)
  let at = ringStart
  let first = Number.POSITIVE_INFINITY
  do {
    const { nextDueInMs, after: next, claimed } = await claim(db.pool, { ...claimEverything, after: at })
    assert.deepEqual(claimed, [])
    first = Math.min(first, nextDueInMs ?? Number.POSITIVE_INFINITY)
    at = next
  } while (at !== ringStart)
  assert.ok(first > 50_000 && first <= 60_000, `in ${first} ms`)
})
