import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { kyselyOver } from '../../src/database/connection.ts'
import { forgetIdleEndpoints } from '../../src/dispatch/partitions.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { claimDue, clear, endpoint, owe } from '../support/endpoints.ts'

const url = 'http://receiver.example/hook'
const retentionMs = 30 * 86_400_000
const idle = { used_at: `now() - interval '31 days'` }
let db: TestDatabase

before(async () => {
  db = await createTestDatabase()
})
after(() => db.drop())
beforeEach(() => clear(db))

const left = async () => {
  await forgetIdleEndpoints(kyselyOver(db.pool), retentionMs)
  return (await db.query('select from webhook_endpoints')).length
}

test('an endpoint that was idle for the retention is forgotten, and not a moment before', async () => {
  await endpoint(db, url, { used_at: `now() - interval '29 days 23 hours'` })
  assert.equal(await left(), 1)
  await db.query(`update webhook_endpoints set used_at = now() - interval '30 days 1 second'`)
  assert.equal(await left(), 0)
})

test('what is owed to it, waiting or in flight, keeps an idle endpoint', async () => {
  await endpoint(db, url, idle)
  await owe(db, url)
  assert.equal(await left(), 1)
  assert.equal((await claimDue(db)).length, 1)
  assert.equal(await left(), 1)
})

for (const [what, columns] of [
  ['a pause', { paused_at: 'now()', paused_reason: `'moved'` }],
  ['a limit in flight', { max_in_flight: '2' }],
  ['a schedule', { retry_schedule: `'{}'` }],
  ['a deadline', { timeout: `'1 s'` }],
  ['a limit of age', { max_owed_age: `'1 d'` }],
  ['headers', { headers: `'{"authorization": "Bearer a"}'` }],
] as [string, Record<string, string>][]) {
  test(`${what} that an operator gave it keeps an idle endpoint`, async () => {
    await endpoint(db, url, { ...idle, ...columns })
    assert.equal(await left(), 1)
  })
}
