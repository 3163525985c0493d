import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { kyselyOver } from '../../src/database/connection.ts'
import { findDispatchers } from '../../src/observe/dispatchers.ts'
import { checkHealth } from '../../src/observe/health.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase } from '../support/database.ts'
import { dispatcher } from '../support/endpoints.ts'
import { eventually } from '../support/eventually.ts'

const db = await createTestDatabase()
onCleanup({ after }, () => db.drop())

test('dispatchers are found while they are connected, and whether one sleeps', async (t) => {
  const kysely = kyselyOver(db.pool)
  assert.deepEqual(await findDispatchers(kysely), { listening: 0, asleep: false })
  const none = await checkHealth(kysely)
  assert.equal(none.status, 'ok', 'what serves the API can do without')
  assert.equal(none.checks['dispatchers']?.status, 'warning')
  assert.match(none.checks['dispatchers'].detail ?? '', /no dispatcher is connected, and nothing is sent/)

  const two = [dispatcher(t, db), dispatcher(t, db)]
  for (const { dispatcher } of two) dispatcher.start()
  await eventually(async () => {
    assert.deepEqual(await findDispatchers(kysely), { listening: 2, asleep: true })
  })
  assert.deepEqual((await checkHealth(kysely)).checks['dispatchers'], { status: 'ok', detail: '2 connected' })
  for (const one of two) await one.stop()
  await eventually(async () => {
    assert.deepEqual(await findDispatchers(kysely), { listening: 0, asleep: false })
  })
})
