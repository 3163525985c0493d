/** What is delivered while an old transaction is open stays as dead rows, which each look at what is due passes by. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import pg from 'pg'
import { claim, type Marks, ringStart } from '../../src/dispatch/claim.ts'
import { Claimer } from '../../src/dispatch/claimer.ts'
import { InFlight } from '../../src/dispatch/in-flight.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import {
  claimDue,
  claimEverything,
  clear,
  delivered,
  dispatcher,
  endpoint,
  owe,
  receiver,
  settleAll,
} from '../support/endpoints.ts'
import { complete, runningTasks } from '../support/tasks.ts'

const url = 'http://127.0.0.1:9/hook'
/** On more than a thousand pages. */
const MANY = 40_000
const nothing = new InFlight().spread()
let db: TestDatabase

before(async () => {
  db = await createTestDatabase()
})
after(() => db.drop())
beforeEach(() => clear(db))

/** Due rows that are gone, and cannot be cleaned up before the transaction that is returned is over. */
async function leaveDeadRows(t: Parameters<typeof onCleanup>[0], of: string): Promise<pg.Client> {
  const old = new pg.Client({ connectionString: db.url })
  await old.connect()
  onCleanup(t, () => old.end())
  await old.query('begin isolation level repeatable read')
  await old.query('select pg_current_xact_id()')
  await owe(db, of, MANY, { next_attempt_at: `now() - interval '1 hour' + n * interval '1 ms'` })
  await db.query('delete from webhook_outbox')
  return old
}

/** Pages of the database that a claim of everything reads. */
async function pagesRead(marks: Marks | null): Promise<number> {
  const { rows } = await db.pool.query<{ 'QUERY PLAN': string }>(
    `explain (analyze, buffers, format json)
     select from webhook_claim(10, 10000, 1000, 1000, 1000, '{}', '{}', '{}', '${ringStart}', 256, ${
       marks === null ? 'null' : pg.escapeLiteral(JSON.stringify(marks))
     })`,
  )
  const [{ Plan: plan }] = JSON.parse(rows[0]!['QUERY PLAN']) as [{ Plan: Record<string, number> }]
  return plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!
}

const idsOf = (claimed: { id: string }[]) => claimed.map(({ id }) => Number(id))

test('where looking is cheap, there are no marks, however long it took', async () => {
  await endpoint(db, url)
  await owe(db, url, 20)
  const { claimed, marks } = await claim(db.pool, claimEverything)
  assert.equal(claimed.length, 20)
  assert.equal(marks, null)
})

test('many endpoints with much that is due are no dead rows', async () => {
  await db.query(
    `insert into webhook_outbox (event_type, entity_type, entity_id, url, payload, next_attempt_at)
     select 'task.completed', 'task', e || '-' || n, 'http://e' || e || '.example/', json_build_object('pad', repeat('x', 3000)), now()
     from generate_series(1, 300) e, generate_series(1, 20) n order by random()`,
  )
  assert.equal((await claim(db.pool, claimEverything)).marks, null)
})

test('a claim passes by dead rows once, and the next one starts behind what it took', async (t) => {
  await endpoint(db, url)
  await leaveDeadRows(t, url)
  await owe(db, url, 30, { next_attempt_at: `now() - interval '30 s' + n * interval '1 ms'` })
  const { claimed, marks } = await claim(db.pool, { ...claimEverything, limit: 10 })
  assert.equal(claimed.length, 10)
  assert.ok(marks !== null && Object.keys(marks).length === 1)
  const [behind, everything] = [await pagesRead(marks), await pagesRead(null)]
  assert.ok(behind * 5 < everything, `${behind} pages behind the mark, ${everything} of everything`)
})

test('marks name the row: what is due at the same time comes, each once', async (t) => {
  await endpoint(db, url)
  await leaveDeadRows(t, url)
  await owe(db, url, 30, { next_attempt_at: `now() - interval '30 s'` })
  const ids: number[] = []
  let marks: Marks | null = null
  for (let n = 0; n < 3; n++) {
    const next = await claim(db.pool, { ...claimEverything, limit: 10, marks })
    ids.push(...idsOf(next.claimed))
    marks = next.marks
  }
  assert.equal(new Set(ids).size, 30)
  assert.deepEqual((await claim(db.pool, { ...claimEverything, marks })).claimed, [])
})

test('under marks no row in front of them is claimed, and none of another endpoint; a look at everything claims them', async () => {
  const other = 'http://127.0.0.1:9/other'
  await endpoint(db, url)
  await owe(db, url, 3)
  await owe(db, other, 1)
  const [first] = await db.query<{ id: string; due: string; endpoint_id: string }>(
    `select id::text, to_json(next_attempt_at) #>> '{}' as due, endpoint_id from webhook_outbox where url = $1 order by id limit 1`,
    [url],
  )
  assert.ok(first)
  const marks: Marks = { [first.endpoint_id]: [first.due, first.id] }
  const behind = await claim(db.pool, { ...claimEverything, marks })
  assert.deepEqual(idsOf(behind.claimed), [Number(first.id) + 1, Number(first.id) + 2])
  assert.equal((await claimDue(db)).length, 2)
})

test('what is due of late is looked at again under a mark: it may have committed behind its back', async (t) => {
  await endpoint(db, url)
  await leaveDeadRows(t, url)
  await owe(db, url, 1, { next_attempt_at: `now() - interval '100 ms'` })
  const { claimed, marks } = await claim(db.pool, claimEverything)
  assert.equal(claimed.length, 1)
  await owe(db, url, 1, { next_attempt_at: `now() - interval '500 ms'` })
  assert.equal((await claim(db.pool, { ...claimEverything, marks })).claimed.length, 1)
})

test('a claimer looks at everything now and then, and meanwhile at the endpoints that it met', async (t) => {
  const unknown = 'http://127.0.0.1:9/unknown'
  await endpoint(db, url)
  const old = await leaveDeadRows(t, url)
  const claimer = new Claimer({ db: db.pool, leaseMs: 10_000, maxInFlight: 1_000, perEndpoint: 1_000 })
  await owe(db, url, 5)
  const first = await claimer.claim(2, nothing)
  assert.ok(claimer.untilLookMs > 0)
  const second = await claimer.claim(10, nothing)
  assert.deepEqual([first.length, second.length, claimer.roundDone], [2, 3, false])
  await settleAll(
    db,
    [...first, ...second].map((one) => delivered(one)),
    1_000,
  )

  await owe(db, unknown, 1)
  const deadline = performance.now() + 10_000
  let found = await claimer.claim(10, nothing)
  while (found.length === 0) {
    assert.ok(performance.now() < deadline, 'an endpoint that was not met before was never looked at')
    found = await claimer.claim(10, nothing)
  }
  assert.equal(found[0]!.url, unknown)

  await old.end()
  await db.query('vacuum webhook_outbox')
  do {
    assert.ok(performance.now() < deadline + 10_000, 'to look at everything stays dear')
    await claimer.claim(10, nothing)
  } while (!claimer.roundDone || claimer.untilLookMs > 0)
})

test('among dead rows a dispatcher delivers what it knows, what it does not, and what commits late', async (t) => {
  const [known, unknown] = [await receiver(t), await receiver(t)]
  await leaveDeadRows(t, known.url())
  dispatcher(t, db, { pollIntervalMs: 1_000 }).dispatcher.start()
  for (const task of await runningTasks(db, known.url(), 3)) await complete(db, [task])
  await known.waitFor(3)

  const late = await runningTasks(db, known.url())
  const writer = new pg.Client({ connectionString: db.url })
  await writer.connect()
  try {
    await writer.query('begin')
    await writer.query(`update tasks set status = 'completed' where id = any($1)`, [late])
    // As if it had been open for a while: its event is in front of what is taken meanwhile.
    await writer.query(`update webhook_outbox set next_attempt_at = now() - interval '10 s'`)
    for (const task of await runningTasks(db, known.url(), 2)) await complete(db, [task])
    await known.waitFor(5)
    await writer.query('commit')
  } finally {
    await writer.end()
  }
  await known.waitFor(6)

  await complete(db, await runningTasks(db, unknown.url()))
  await unknown.waitFor(1)
})
