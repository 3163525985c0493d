import assert from 'node:assert/strict'
import { after, beforeEach, describe, test } from 'node:test'
import { kyselyOver } from '../../src/database/connection.ts'
import { countBacklog } from '../../src/operations/count-backlog.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase } from '../support/database.ts'
import { claimDue, clear, endpoint, owe } from '../support/endpoints.ts'

const database = await createTestDatabase()
onCleanup({ after }, () => database.drop())
const db = kyselyOver(database.pool)
const url = (path: string) => `http://127.0.0.1:9/${path}`

interface Row extends Record<string, unknown> {
  endpoint: string
  due: number
  waiting: number
  delivering: number
  age: number | null
  last_error: string | null
  exact: boolean
}

const backlog = () =>
  database.query<Row>(
    `select replace(endpoint, 'http://127.0.0.1:9/', '') as endpoint, due::integer, waiting::integer, delivering::integer,
       extract(epoch from oldest_due_age)::float8 as age, last_error, counted_at = now() as exact
     from webhook_backlog order by 1`,
  )
const brief = async () =>
  (await backlog()).map(({ endpoint, due, waiting, delivering, exact }) => [
    endpoint,
    due,
    waiting,
    delivering,
    exact,
  ])

beforeEach(async () => {
  await clear(database)
  await database.query('truncate webhook_backlog_counts')
  await database.query(
    `update webhook_backlog_counted set counted_at = '-infinity', next_count_at = '-infinity', valid_until = '-infinity'`,
  )
})

describe('webhook_backlog', () => {
  test('counts what is due, what waits and what is in flight, by endpoint, with its age and its error', async () => {
    await endpoint(database, url('known'), {
      failures: '2',
      last_error: `'503 Service Unavailable'`,
      slots: '2',
    })
    await endpoint(database, url('fine'), { last_error: `'an old one'` })
    await owe(database, url('known?token'), 4)
    await owe(database, url('known'), 2, { next_attempt_at: `now() + n * interval '1 hour'` })
    await owe(database, url('fine'), 1, { next_attempt_at: `now() - interval '5 seconds'` })
    await claimDue(database, { limit: 2, perEndpoint: 2 })
    await owe(database, url('unclaimed?token'), 1)
    const rows = await backlog()
    const known = rows.find((row) => row.endpoint === 'known')!
    assert.equal(known.due + known.delivering, 4)
    assert.deepEqual([known.waiting, known.last_error, known.exact], [2, '503 Service Unavailable', true])
    assert.deepEqual(
      rows.map((row) => row.endpoint),
      ['fine', 'known', 'unclaimed'],
    )
    assert.equal(rows[0]!.last_error, null)
    assert.ok(rows[2]!.age! > 59 && rows[2]!.age! < 90, String(rows[2]!.age))
    const total = rows.reduce((sum, row) => sum + row.due + row.waiting + row.delivering, 0)
    assert.equal(total, 8)
  })

  test('takes infinite times', async () => {
    await owe(database, url('x'), 1, { next_attempt_at: `'-infinity'::timestamptz` })
    await owe(database, url('x'), 1, { next_attempt_at: `'infinity'::timestamptz` })
    assert.deepEqual(await brief(), [['x', 1, 1, 0, true]])
    assert.equal((await backlog())[0]!.age, null)
  })
})

describe('the count', () => {
  test('is not made where little is owed: whoever looks counts, and what was counted before is forgotten', async () => {
    await owe(database, url('x'), 3)
    assert.equal(await countBacklog(db, { exactUpTo: 2 }), 1)
    assert.equal((await database.query('select from webhook_backlog_counts')).length, 1)
    await database.query(`update webhook_backlog_counted set next_count_at = '-infinity'`)
    assert.equal(await countBacklog(db, { exactUpTo: 3 }), null)
    assert.deepEqual(await database.query('select from webhook_backlog_counts'), [])
    assert.deepEqual(await brief(), [['x', 3, 0, 0, true]])
  })

  test('has one dispatcher at a time, and not before its turn', async () => {
    await owe(database, url('x'), 2)
    const counts = await Promise.all(Array.from({ length: 4 }, () => countBacklog(db, { exactUpTo: 1 })))
    assert.deepEqual(
      counts.filter((count) => count !== null),
      [1],
    )
    assert.equal(await countBacklog(db, { exactUpTo: 1 }), null)
  })

  test('forgets endpoints that nothing is owed to any more', async () => {
    await owe(database, url('a'), 2)
    await owe(database, url('b'), 2)
    assert.equal(await countBacklog(db, { exactUpTo: 1 }), 2)
    await database.query('delete from webhook_outbox where url = $1', [url('a')])
    await database.query(`update webhook_backlog_counted set next_count_at = '-infinity'`)
    assert.equal(await countBacklog(db, { exactUpTo: 1 }), 1)
    assert.equal((await database.query('select from webhook_backlog_counts')).length, 1)
  })

  test('is what the view shows beyond 50,000 owed, and says of when it is; without one that is valid, it counts', async () => {
    await owe(database, url('many'), 50_000, { next_attempt_at: `now() + (n - 10) * interval '1 hour'` })
    await owe(database, url('one'), 1)
    assert.deepEqual(await brief(), [
      ['many', 10, 49_990, 0, true],
      ['one', 1, 0, 0, true],
    ])
    assert.equal(await countBacklog(db), 2)
    // What is in flight is of now, the rest is as it was counted.
    await endpoint(database, url('one'), { slots: '1' })
    await owe(database, url('new'), 1)
    await claimDue(database, { limit: 1 })
    const counted = await backlog()
    assert.ok(counted.every((row) => !row.exact))
    assert.equal(counted.find((row) => row.endpoint === 'many')!.waiting, 49_990)
    assert.equal(
      counted.reduce((sum, row) => sum + row.delivering, 0),
      1,
    )
    await database.query('update webhook_backlog_counted set valid_until = now()')
    assert.ok((await backlog()).every((row) => row.exact))
  })
})
