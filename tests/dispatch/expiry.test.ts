import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { kyselyOver } from '../../src/database/connection.ts'
import { createExpirer, discardExpired } from '../../src/dispatch/expire.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { captureLog } from '../support/dispatcher.ts'
import {
  claimDue,
  clear,
  delivered,
  endpoint,
  endpointOf,
  failed,
  open,
  owe,
  settleAll,
} from '../support/endpoints.ts'

const url = 'http://receiver.example/hook'
const maxAgeMs = 14 * 86_400_000
let db: TestDatabase

before(async () => {
  db = await createTestDatabase()
})
after(() => db.drop())
beforeEach(() => clear(db))

for (const [age, expires] of [
  ['14 days 1 second', true],
  ['13 days 23 hours 59 minutes', false],
  ['infinity', true],
] as const) {
  test(`what is owed for ${age} is ${expires ? 'discarded as expired' : 'still owed'}`, async () => {
    const created = age === 'infinity' ? `timestamptz '-infinity'` : `now() - interval '${age}'`
    await owe(db, url, 1, { created_at: created, attempts: '2', last_error: `'503'`, last_status: '503' })
    const [before] = await db.query('select event_id, payload::text, created_at from webhook_outbox')
    assert.equal(await discardExpired(kyselyOver(db.pool), maxAgeMs), expires ? 1 : 0)
    const [row] = await db.query(
      'select event_id, payload::text, created_at, state, attempts, last_status, last_error from webhook_events',
    )
    assert.deepEqual(
      row,
      expires
        ? { ...before, state: 'discarded', attempts: 2, last_status: 503, last_error: 'expired' }
        : { ...before, state: 'pending', attempts: 2, last_status: 503, last_error: '503' },
    )
    if (expires)
      assert.deepEqual(await db.query('select recoverable from webhook_history'), [{ recoverable: false }])
  })
}

test('it does not matter why it waits: an open breaker, a pause, a retry', async () => {
  const old = { created_at: `now() - interval '15 days'` }
  const names = ['http://open.example/', 'http://paused.example/', 'http://retrying.example/'] as const
  await endpoint(db, names[0], open)
  await endpoint(db, names[1], { paused_at: 'now()' })
  for (const one of names) await owe(db, one, 1, old)
  await owe(db, url, 1)
  await db.query(`update webhook_outbox set next_attempt_at = 'infinity' where url = $1`, [names[2]])
  assert.equal(await discardExpired(kyselyOver(db.pool), maxAgeMs), 3)
  assert.deepEqual(await db.query('select url from webhook_outbox'), [{ url }])
})

test('what is in flight is left to its attempt', async () => {
  await endpoint(db, url)
  await owe(db, url, 2, { created_at: `now() - interval '15 days'` })
  const [a, b] = await claimDue(db)
  assert.equal(await discardExpired(kyselyOver(db.pool), maxAgeMs), 0)
  await settleAll(db, [delivered(a!), failed(b!)])
  assert.equal(await discardExpired(kyselyOver(db.pool), maxAgeMs), 1)
  assert.equal((await endpointOf(db, url)).in_flight, 0)
  assert.deepEqual(await db.query('select outcome from webhook_history order by 1'), [
    { outcome: 'delivered' },
    { outcome: 'discarded' },
  ])
})

test('many that expire at once go in batches, all in one run', async () => {
  await owe(db, url, 12_000, { created_at: `now() - interval '15 days'` })
  await owe(db, url, 3)
  const { log, lines } = captureLog()
  await createExpirer({ db: kyselyOver(db.pool), log, maxAgeMs }).runOnce()
  assert.equal((await db.query('select from webhook_outbox')).length, 3)
  assert.equal((await db.query(`select from webhook_history where last_error = 'expired'`)).length, 12_000)
  assert.deepEqual(
    lines.map((line) => line.events),
    [12_000],
  )
})

test('what was replayed is owed since then, whatever its age', async () => {
  await owe(db, url, 1, { created_at: `now() - interval '20 days'`, replayed_at: `now() - interval '1 day'` })
  await owe(db, url, 1, {
    created_at: `now() - interval '40 days'`,
    replayed_at: `now() - interval '15 days'`,
  })
  assert.equal(await discardExpired(kyselyOver(db.pool), maxAgeMs), 1)
  assert.equal((await db.query('select from webhook_outbox')).length, 1)
})
