import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import type pg from 'pg'
import type { Claimed } from '../../src/dispatch/claim.ts'
import { Settler } from '../../src/dispatch/settler.ts'
import type { Settlement } from '../../src/dispatch/settle.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { captureLog } from '../support/dispatcher.ts'
import { claimDue, clear, delivered, endpoint, owe } from '../support/endpoints.ts'

const url = 'http://127.0.0.1:9/'
let db: TestDatabase

before(async () => {
  db = await createTestDatabase()
})
after(() => db.drop())
beforeEach(async () => {
  await clear(db)
  await endpoint(db, url)
})

async function claimed(count: number): Promise<Claimed[]> {
  await owe(db, url, count)
  return claimDue(db, { limit: count })
}

/** The pool, whose queries go through `before` first: where that throws, Postgres was not asked. */
function through(before: (call: number) => void): { pool: pg.Pool; calls: () => number } {
  let calls = 0
  const query = (text: string, values: unknown[]) => {
    calls++
    before(calls)
    return db.pool.query(text, values)
  }
  return { pool: { query } as unknown as pg.Pool, calls: () => calls }
}

const history = () => db.query('select outcome from webhook_history')

test('what gathers while a batch is being written is written together', async () => {
  const rows = await claimed(100)
  const { pool, calls } = through(() => undefined)
  const settler = new Settler({ db: pool, log: captureLog().log, perEndpoint: 16 })
  const changed = await Promise.all(rows.map((row) => settler.settle(delivered(row))))
  assert.ok(changed.every(Boolean))
  assert.equal(calls(), 2)
  assert.equal((await history()).length, 100)
})

test('while Postgres is away a settlement waits, and is written once it is back', async () => {
  const rows = await claimed(3)
  const { pool } = through((call) => {
    if (call <= 4) throw Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED' })
  })
  const settler = new Settler({ db: pool, log: captureLog().log, perEndpoint: 16 })
  const changed = await Promise.all(rows.map((row) => settler.settle(delivered(row))))
  assert.deepEqual(changed, [true, true, true])
  assert.equal((await history()).length, 3)
})

test('a settlement whose data is refused keeps none of its batch back', async () => {
  const rows = await claimed(5)
  const { log, lines } = captureLog()
  const settler = new Settler({ db: db.pool, log, perEndpoint: 16 })
  const first = settler.settle(delivered(rows[0]!))
  // Gathers behind the first; NUL is what no text of Postgres can hold.
  const rest = rows
    .slice(1)
    .map((row, i) => settler.settle({ ...delivered(row), response: i === 1 ? 'a\0b' : 'ok' } as Settlement))
  assert.deepEqual(await Promise.all([first, ...rest]), [true, true, false, true, true])
  assert.equal((await history()).length, 4)
  assert.ok(lines.some((line) => line.msg === 'a settlement was refused'))
})

test('once abandoned, what Postgres does not take is left to its lease', async () => {
  const rows = await claimed(1)
  const { pool } = through(() => {
    throw Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED' })
  })
  const settler = new Settler({ db: pool, log: captureLog().log, perEndpoint: 16 })
  const changed = settler.settle(delivered(rows[0]!))
  settler.abandon()
  assert.equal(await changed, false)
  assert.equal((await db.query(`select from webhook_outbox where state = 'delivering'`)).length, 1)
})

test('a settlement that was written, and whose answer was lost, is not written twice', async () => {
  const rows = await claimed(1)
  let lost = false
  const query = async (text: string, values: unknown[]) => {
    const answer = await db.pool.query(text, values)
    if (lost) return answer
    lost = true
    throw Object.assign(new Error('Connection terminated unexpectedly'), {})
  }
  const settler = new Settler({ db: { query } as unknown as pg.Pool, log: captureLog().log, perEndpoint: 16 })
  await settler.settle(delivered(rows[0]!))
  assert.equal((await history()).length, 1)
  assert.equal((await db.query('select from webhook_attempts')).length, 1)
})
