import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { Registry } from 'prom-client'
import type { DispatcherOptions } from '../../src/dispatch/dispatcher.ts'
import { kyselyOver } from '../../src/database/connection.ts'
import { findDispatchers } from '../../src/observe/dispatchers.ts'
import { DispatchMetrics } from '../../src/observe/metrics/dispatch-metrics.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { claimDue, clear, dispatcher, owe, receiver, refusedUrl } from '../support/endpoints.ts'
import { eventually } from '../support/eventually.ts'
import { parseExposition, valueOf } from '../support/exposition.ts'
import { complete, runningTasks } from '../support/tasks.ts'

interface Measured {
  db: TestDatabase
  value: (name: string, labels?: Record<string, string>) => Promise<number>
  /** Resolves once it is so. */
  becomes: (name: string, expected: number, labels?: Record<string, string>) => Promise<void>
}

async function measured(t: TestContext, options: Partial<DispatcherOptions> = {}): Promise<Measured> {
  const db = await createTestDatabase()
  onCleanup(t, () => db.drop())
  const registry = new Registry()
  const metrics = new DispatchMetrics(registry, { maxInFlight: 64 })
  const { dispatcher: started } = dispatcher(t, db, { ...options, metrics })
  started.start()
  const value: Measured['value'] = async (name, labels) =>
    valueOf(parseExposition(await registry.metrics()), `webhook_${name}`, labels)!
  return {
    db,
    value,
    becomes: (name, expected, labels) =>
      eventually(async () => assert.equal(await value(name, labels), expected), { description: name }),
  }
}

/**
 * It listens, holds its lock, and has looked twice since: its last look comes after the lock, and what woke it by then, such
 * as the connection of its listener, makes it look once more.
 */
async function asleep({ db, value, becomes }: Measured): Promise<void> {
  await becomes('listener_connected', 1)
  await eventually(async () => assert.equal((await findDispatchers(kyselyOver(db.pool))).asleep, true))
  const claims = await value('claim_duration_seconds_count')
  await eventually(async () => assert.ok((await value('claim_duration_seconds_count')) > claims + 1))
}

const outcome = (of: string) => ({ outcome: of, event_type: 'task.completed' })

test('what only the poll finds is counted as a lost notification; what was notified, or is a retry, is not', async (t) => {
  const hooks = await receiver(t, (_, n) => ({ status: n === 2 ? 503 : 200 }))
  const started = await measured(t, { pollIntervalMs: 1_000, retrySchedule: [300] })
  const { db, value, becomes } = started
  await asleep(started)
  // By SQL, past the trigger that notifies.
  await owe(db, hooks.url())
  await becomes('deliveries_total', 1, outcome('delivered'))
  assert.equal(await value('polls_that_found_work_total'), 1)
  assert.equal(await value('notification_to_claim_seconds_count'), 0)

  await asleep(started)
  await complete(db, await runningTasks(db, hooks.url()))
  await becomes('deliveries_total', 2, outcome('delivered'))
  assert.equal(await value('deliveries_total', outcome('retry')), 1)
  assert.equal(await value('polls_that_found_work_total'), 1)
  assert.equal(await value('notification_to_claim_seconds_count'), 1)
  assert.ok((await value('notification_to_claim_seconds_sum')) < 0.5)
})

test('the time to the receipt counts from the change, or from the replay', async (t) => {
  const hooks = await receiver(t)
  const { db, value, becomes } = await measured(t)
  const columns = { created_at: `now() - interval '1 hour'` }
  await owe(db, hooks.url(), 1, columns)
  await becomes('commit_to_receipt_seconds_count', 1)
  const hour = await value('commit_to_receipt_seconds_sum')
  assert.ok(hour > 3_599 && hour < 3_630, String(hour))
  await owe(db, hooks.url(), 1, { ...columns, replayed_at: `now() - interval '1 minute'` })
  await becomes('commit_to_receipt_seconds_count', 2)
  const minute = (await value('commit_to_receipt_seconds_sum')) - hour
  assert.ok(minute > 59 && minute < 90, String(minute))
  // Times that only SQL can put there measure nothing, and keep nothing from being settled.
  await owe(db, hooks.url(), 1, { created_at: `'-infinity'` })
  await becomes('deliveries_total', 3, outcome('delivered'))
  assert.equal(await value('commit_to_receipt_seconds_count'), 2)
})

test('an outcome that comes too late is lost, and counted as nothing else', async (t) => {
  const { db, value, becomes } = await measured(t)
  const hooks = await receiver(t, async () => {
    await db.query('update webhook_outbox set lease_token = gen_random_uuid()')
    return { status: 200 }
  })
  await owe(db, hooks.url())
  await becomes('deliveries_total', 1, outcome('lost'))
  assert.equal(await value('deliveries_total', outcome('delivered')), 0)
  assert.equal(await value('commit_to_receipt_seconds_count'), 0)
  assert.equal(await value('delivery_duration_seconds_count'), 1)
  await clear(db)
})

test('leases that expire are counted', async (t) => {
  const hooks = await receiver(t)
  const { db, becomes } = await measured(t)
  await owe(db, await refusedUrl(), 3)
  // Whoever claimed them is gone.
  const taken = await claimDue(db, { leaseMs: 1, limit: 3 })
  await becomes('leases_expired_total', taken.length)
  assert.ok(hooks.requests.length === 0)
})

test('a listener without a connection shows, and so does what is in flight', async (t) => {
  const listening = await measured(t)
  await listening.becomes('listener_connected', 1)
  const deaf = await measured(t, { listenUrl: 'postgres://nobody@127.0.0.1:1/nothing' })
  let release = () => undefined as void
  const hooks = await receiver(t, async () => {
    await new Promise<void>((resolve) => (release = resolve))
    return { status: 200 }
  })
  await owe(deaf.db, hooks.url())
  await hooks.waitFor(1)
  assert.equal(await deaf.value('in_flight'), 1)
  assert.equal(await deaf.value('listener_connected'), 0)
  release()
  await deaf.becomes('in_flight', 0)
})
