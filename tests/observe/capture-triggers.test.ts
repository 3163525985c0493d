import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { kyselyOver } from '../../src/database/connection.ts'
import { checkHealth } from '../../src/observe/health.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase } from '../support/database.ts'

const db = await createTestDatabase()
onCleanup({ after }, () => db.drop())

test('a trigger that does not fire is a warning of readyz, which names what is lost and what mends it', async () => {
  const kysely = kyselyOver(db.pool)
  assert.deepEqual((await checkHealth(kysely)).checks['capture'], { status: 'ok' })

  await db.query('alter table tasks disable trigger webhook_capture_task')
  const disabled = await checkHealth(kysely)
  assert.equal(disabled.status, 'ok', 'what was captured before is still sent')
  assert.deepEqual(disabled.checks['capture'], {
    status: 'warning',
    detail:
      'the trigger webhook_capture_task on tasks is disabled: completed and failed tasks send nothing; npx webhook-outbox doctor gives the SQL that mends it',
  })

  await db.query('drop trigger webhook_capture_task on tasks; drop trigger webhook_heartbeat on agents')
  assert.match(
    (await checkHealth(kysely)).checks['capture']?.detail ?? '',
    /^the trigger on tasks is missing: completed and failed tasks send nothing \(and 1 more\); /,
  )
})
