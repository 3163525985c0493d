import assert from 'node:assert/strict'
import { after, beforeEach, describe, test } from 'node:test'
import { kyselyOver } from '../../src/database/connection.ts'
import { batchSize } from '../../src/operations/pace.ts'
import { runBatch } from '../../src/operations/run-batch.ts'
import { createOperationRunner, forgetOld } from '../../src/operations/runner.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase } from '../support/database.ts'
import { captureLog } from '../support/dispatcher.ts'
import { clear } from '../support/endpoints.ts'
import { eventually } from '../support/eventually.ts'
import { putEvent, putTicket } from '../support/events.ts'

const database = await createTestDatabase()
onCleanup({ after }, () => database.drop())
const db = kyselyOver(database.pool)

beforeEach(async () => {
  await clear(database)
  await database.query('truncate webhook_operations, webhook_operation_batches, webhook_audit')
})

/** An operation over settled events, which it makes; one batch for each number of events. */
async function operationOver(sizes: number[], columns: Record<string, unknown> = {}): Promise<string> {
  const ticket = await putTicket(database, { url: 'http://127.0.0.1:9/x' })
  const [row] = await database.query<{ id: string }>(
    `insert into webhook_operations (kind, rate, requested_by, matched) values ('replay', $1, 'test', $2) returning id`,
    [columns['rate'] ?? 10_000, sizes.reduce((sum, size) => sum + size, 0)],
  )
  for (const [n, size] of sizes.entries()) {
    const ids = await Promise.all(
      Array.from({ length: size }, () => putEvent(database, { ...ticket, settled_at: '2026-01-01' })),
    )
    await database.query('insert into webhook_operation_batches values ($1, $2, $3)', [row!.id, n, ids])
  }
  return row!.id
}

const operation = async (id: string) =>
  (
    await database.query<Record<string, unknown>>(
      `select *, extract(epoch from next_batch_at - now())::float8 as wait from webhook_operations where id = $1`,
      [id],
    )
  )[0]!

test('a batch is what its rate gives in a quarter of a second', () => {
  for (const [rate, size] of [
    [1, 1],
    [4, 1],
    [5, 2],
    [200, 50],
    [2_000, 500],
    [10_000, 500],
  ] as const) {
    assert.equal(batchSize(rate), size)
  }
})

test('batches are done in their order, and each has its turn when its rate says so', async () => {
  const id = await operationOver([2, 3], { rate: 1 })
  assert.deepEqual(await runBatch(db), {
    operationId: id,
    kind: 'replay',
    state: 'running',
    outcomes: { replayed: 2 },
    error: null,
  })
  assert.equal(await runBatch(db), undefined)
  const waiting = await operation(id)
  assert.ok(Number(waiting['wait']) > 1 && Number(waiting['wait']) <= 2, String(waiting['wait']))
  await database.query('update webhook_operations set next_batch_at = now()')
  const last = await runBatch(db)
  assert.deepEqual([last!.state, last!.outcomes], ['done', { replayed: 3 }])
  assert.equal(await runBatch(db), undefined)
})

test('eight dispatchers at once take each event once, and one of them works at an operation at a time', async () => {
  const ids = [await operationOver(Array.from({ length: 20 }, () => 5)), await operationOver([50, 50])]
  const worker = async () => {
    for (let idle = 0; idle < 3;) {
      await database.query(
        `update webhook_operations set next_batch_at = now() where id in (
           select id from webhook_operations where state in ('queued', 'running') order by id for update)`,
      )
      if ((await runBatch(db)) === undefined) idle++
    }
  }
  await Promise.all(Array.from({ length: 8 }, worker))
  for (const id of ids) {
    const { state, done, skipped } = await operation(id)
    assert.deepEqual([state, done, skipped], ['done', 100, 0])
  }
  const [owed] = await database.query('select count(*)::integer as events from webhook_outbox')
  assert.equal(owed!['events'], 200)
})

test('a dispatcher that dies in a batch leaves it as if it had not begun', async () => {
  const id = await operationOver([3, 2])
  const [holder] = await database.query<{ event: string }>(
    'select event_id as event from webhook_history limit 1',
  )
  // A lock keeps the batch under way until its session is ended.
  const blocker = await database.pool.connect()
  await blocker.query('begin')
  await blocker.query('select from webhook_history where event_id = $1 for update', [holder!.event])
  const batch = runBatch(db)
  const dying = assert.rejects(batch)
  await eventually(async () => {
    const [row] = await database.query<{ ended: boolean }>(
      `select pg_terminate_backend(pid) as ended from pg_stat_activity
       where wait_event_type = 'Lock' and query like '%webhook_replay_events%' and datname = current_database()`,
    )
    assert.equal(row?.ended, true)
  })
  await dying
  await blocker.query('rollback')
  blocker.release()
  const left = await operation(id)
  assert.deepEqual([left['state'], left['done']], ['queued', 0])
  for (let n = 0; n < 2; n++) {
    await database.query('update webhook_operations set next_batch_at = now()')
    await runBatch(db)
  }
  const ended = await operation(id)
  assert.deepEqual([ended['state'], ended['done'], ended['skipped']], ['done', 5, 0])
})

test('what Postgres refuses ends its operation as failed, and holds up no other', async () => {
  const bad = await operationOver([1, 1])
  await database.query(`update webhook_operations set next_batch_at = now() - interval '1 minute'`)
  const [event] = await database.query<{ id: string }>(
    'select event_ids[1] as id from webhook_operation_batches where n = 0',
  )
  // Only what somebody did to our tables can make a batch fail.
  await database.query(`alter table webhook_outbox add constraint refused check (event_id <> '${event!.id}')`)
  try {
    const good = await operationOver([1])
    const failed = await runBatch(db)
    assert.deepEqual([failed!.operationId, failed!.state], [bad, 'failed'])
    assert.equal((await runBatch(db))!.state, 'done')
    const [one, other] = [await operation(bad), await operation(good)]
    assert.deepEqual([one['state'], one['done'], other['state']], ['failed', 0, 'done'])
    assert.match(String(one['error']), /refused a batch \(SQLSTATE 23514\)/)
    assert.deepEqual(await database.query('select from webhook_operation_batches'), [])
  } finally {
    await database.query('alter table webhook_outbox drop constraint refused')
  }
})

describe('the loop', () => {
  test('does what is due, says so, and stops', async (t) => {
    const id = await operationOver([2, 2, 2])
    const { log, lines } = captureLog()
    const runner = createOperationRunner({ db, log })
    onCleanup(t, () => runner.stop())
    runner.start()
    await eventually(async () => assert.equal((await operation(id))['state'], 'done'))
    await runner.stop()
    assert.deepEqual(
      lines.map(({ operation_id, kind, msg }) => ({ operation_id, kind, msg })),
      [{ operation_id: id, kind: 'replay', msg: 'a bulk operation is done' }],
    )
  })

  test('forgets what has been on record for long enough', async () => {
    for (const age of ['89 days', '91 days']) {
      await database.query(
        `insert into webhook_operations (kind, rate, requested_by, state, finished_at)
         values ('replay', 1, $1::text, 'done', now() - $1::text::interval)`,
        [age],
      )
    }
    for (const age of ['364 days', '366 days']) {
      await database.query(
        `insert into webhook_audit (actor, action, target, at) values ($1::text, 'x', 'x', now() - $1::text::interval)`,
        [age],
      )
    }
    await forgetOld(db)
    assert.deepEqual(await database.query('select requested_by as kept from webhook_operations'), [
      { kept: '89 days' },
    ])
    assert.deepEqual(await database.query('select actor as kept from webhook_audit'), [{ kept: '364 days' }])
  })
})
