import assert from 'node:assert/strict'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { describe, test, type TestContext } from 'node:test'
import { connect, kyselyOver } from '../../src/database/connection.ts'
import { createMetrics } from '../../src/observe/metrics/metrics.ts'
import { countBacklog } from '../../src/operations/count-backlog.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { claimDue, endpoint, open, owe } from '../support/endpoints.ts'
import { eventually } from '../support/eventually.ts'
import { type Family, parseExposition, valueOf } from '../support/exposition.ts'
import { createReceiver } from '../support/receiver.ts'
import { startServiceProcess, type ServiceProcess } from '../support/service-process.ts'
import { complete, runningTasks } from '../support/tasks.ts'

async function database(t: TestContext): Promise<TestDatabase> {
  const created = await createTestDatabase()
  onCleanup(t, () => created.drop())
  return created
}

function start(t: TestContext, db: TestDatabase, env: Record<string, string> = {}): ServiceProcess {
  const service = startServiceProcess({ DATABASE_URL: db.url, ...env })
  onCleanup(t, () => service.stop())
  return service
}

async function scrape(url: string, headers: Record<string, string> = {}): Promise<Map<string, Family>> {
  const answer = await fetch(`${url}/metrics`, { headers })
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  return parseExposition(await answer.text())
}

const scrapeOf = async (db: TestDatabase) =>
  parseExposition(await createMetrics({ db: kyselyOver(db.pool), version: '1.2.3' }).scrape())

describe('a service that delivers', () => {
  test('counts what it delivered by outcome and event type, and measures each step', async (t) => {
    const db = await database(t)
    const hooks = await createReceiver({
      answer: (_, n) => ({ status: n === 1 ? 503 : n === 2 ? 404 : 200 }),
    })
    onCleanup(t, () => hooks.close())
    const service = start(t, db, { RETRY_SCHEDULE: '10ms' })
    const url = await service.url()
    await service.waitForLine((line) => line.msg === 'dispatching')
    await eventually(async () => assert.equal(valueOf(await scrape(url), 'webhook_listener_connected'), 1))
    // One after the other, so that it is known which gets what.
    for (let n = 0; n < 3; n++) {
      const ids = await runningTasks(db, hooks.url())
      await complete(db, ids)
      await hooks.waitFor(n === 0 ? 2 : n + 2)
      await eventually(async () => assert.deepEqual(await db.query('select from webhook_outbox'), []))
    }
    const families = await eventually(async () => {
      const seen = await scrape(url)
      assert.equal(valueOf(seen, 'webhook_commit_to_receipt_seconds_count'), 2)
      return seen
    })
    const deliveries = (outcome: string, event_type = 'task.completed') =>
      valueOf(families, 'webhook_deliveries_total', { outcome, event_type })
    assert.deepEqual(
      ['retry', 'dead', 'delivered', 'lost'].map((o) => deliveries(o)),
      [1, 1, 2, 0],
    )
    assert.equal(deliveries('delivered', 'other'), 0)
    const count = (name: string) => valueOf(families, `webhook_${name}_count`)!
    assert.equal(count('delivery_duration_seconds'), 4)
    assert.equal(count('settle_batch_size'), 4)
    assert.equal(valueOf(families, 'webhook_settle_batch_size_sum'), 4)
    assert.equal(count('settle_duration_seconds'), 4)
    assert.ok(count('claim_duration_seconds') > count('claim_batch_size'), 'empty claims count, too')
    assert.equal(valueOf(families, 'webhook_claim_batch_size_sum'), 4)
    assert.ok(count('notification_to_claim_seconds') >= 1, 'a sleeping dispatcher was notified')
    const receipt = valueOf(families, 'webhook_commit_to_receipt_seconds_sum')!
    assert.ok(receipt > 0 && receipt < 10, String(receipt))
    assert.equal(valueOf(families, 'webhook_in_flight'), 0)
    assert.equal(valueOf(families, 'webhook_in_flight_limit'), 256)
    assert.equal(valueOf(families, 'webhook_database_up'), 1)
    assert.equal(valueOf(families, 'webhook_dispatchers_connected'), 1)
    assert.ok(valueOf(families, 'process_cpu_seconds_total')! > 0)
    assert.match(families.get('webhook_build_info')!.samples[0]!.labels['version']!, /^\d+\.\d+\.\d+$/)
  })
})

describe('what the database says', () => {
  test('is what is owed, per state, and how old the oldest is: what cannot be sent apart from what could', async (t) => {
    const db = await database(t)
    const at = (path: string) => `http://127.0.0.1:9/${path}`
    await endpoint(db, at('fine'))
    await endpoint(db, at('away'), {
      ...open,
      opened_at: `now() - interval '100 s'`,
      probe_at: `now() + interval '1 h'`,
    })
    await endpoint(db, at('paused'), { ...open, paused_at: 'now()' })
    await owe(db, at('fine'), 3, { next_attempt_at: `now() - interval '30 s'` })
    await claimDue(db, { limit: 1 })
    await owe(db, at('never-seen'), 1, { next_attempt_at: `now() - interval '10 s'` })
    await owe(db, at('fine'), 4, { next_attempt_at: `now() + interval '1 h'` })
    await owe(db, at('away'), 5, { next_attempt_at: `now() - interval '50 s'` })
    await owe(db, at('paused'), 6, { next_attempt_at: `now() - interval '70 s'` })
    const families = await scrapeOf(db)
    const owed = (state: string) => valueOf(families, 'webhook_owed', { state })
    assert.deepEqual(['due', 'held', 'waiting', 'delivering'].map(owed), [3, 11, 4, 1])
    const about = (name: string, labels: Record<string, string>, seconds: number) => {
      const value = valueOf(families, name, labels)!
      assert.ok(value >= seconds && value < seconds + 20, `${name} is ${value}`)
    }
    about('webhook_oldest_due_age_seconds', { state: 'due' }, 30)
    about('webhook_oldest_due_age_seconds', { state: 'held' }, 70)
    about('webhook_longest_open_breaker_seconds', {}, 100)
    const endpoints = (state: string) => valueOf(families, 'webhook_endpoints', { state })
    assert.deepEqual(['closed', 'open', 'probing', 'paused'].map(endpoints), [1, 2, 0, 1])
    assert.equal(valueOf(families, 'webhook_backlog_count_age_seconds'), 0)
    assert.equal(valueOf(families, 'webhook_partition_days_ahead'), 14)
    assert.equal(valueOf(families, 'webhook_dispatchers_connected'), 0)
    assert.equal(valueOf(families, 'webhook_notification_queue_usage_ratio'), 0)
  })

  test('says of an empty database that nothing is owed, and takes infinite times', async (t) => {
    const db = await database(t)
    const empty = await scrapeOf(db)
    assert.equal(valueOf(empty, 'webhook_owed', { state: 'due' }), 0)
    assert.equal(valueOf(empty, 'webhook_oldest_due_age_seconds', { state: 'due' }), 0)
    await owe(db, 'http://127.0.0.1:9/x', 1, { next_attempt_at: `'-infinity'::timestamptz` })
    await endpoint(db, 'http://127.0.0.1:9/x', { ...open, opened_at: `'-infinity'` })
    const families = await scrapeOf(db)
    assert.equal(valueOf(families, 'webhook_database_up'), 1)
    assert.equal(valueOf(families, 'webhook_owed', { state: 'held' }), 1)
  })

  test('says whether this process may send from it', async (t) => {
    const db = await database(t)
    const confirmed = async (installation?: string) => {
      const metrics = createMetrics({ db: kyselyOver(db.pool), version: '1.2.3', installation })
      return valueOf(parseExposition(await metrics.scrape()), 'webhook_installation_confirmed')
    }
    assert.deepEqual([await confirmed(), await confirmed('staging')], [1, 1], "it is nobody's")
    await db.query(`select webhook_confirm_installation('production')`)
    assert.deepEqual(
      [await confirmed(), await confirmed('staging'), await confirmed('production')],
      [0, 0, 1],
    )
  })

  test('counts the triggers that do not fire', async (t) => {
    const db = await database(t)
    const failing = async () => valueOf(await scrapeOf(db), 'webhook_capture_triggers_failing')
    assert.equal(await failing(), 0)
    await db.query('alter table tasks disable trigger webhook_capture_task')
    assert.equal(await failing(), 1)
    await db.query('drop trigger webhook_url_of_tickets on tickets')
    assert.equal(await failing(), 2)
    await db.query('alter table tasks enable trigger webhook_capture_task')
    assert.equal(await failing(), 1)
  })

  test('counts bulk operations, what they have yet to take, and how long they wait', async (t) => {
    const db = await database(t)
    const shown = async () => {
      const families = await scrapeOf(db)
      const operations = (state: string) => valueOf(families, 'webhook_operations', { state })
      const left = valueOf(families, 'webhook_operation_events_left')
      const overdue = valueOf(families, 'webhook_operation_overdue_seconds')!
      return [...['queued', 'running', 'failed'].map(operations), left, Math.floor(overdue / 60)]
    }
    assert.deepEqual(await shown(), [0, 0, 0, 0, 0])
    await db.query(`
      insert into webhook_operations (kind, state, matched, done, skipped, rate, requested_by, next_batch_at, finished_at) values
        ('replay', 'queued', 1000, 0, 0, 10, 'a', now() + interval '1 h', null),
        ('replay', 'running', 100, 60, 10, 10, 'a', now() - interval '10 m', null),
        ('discard', 'running', 5, 5, 0, 10, 'a', 'infinity', null),
        ('discard', 'failed', 70, 1, 0, 10, 'a', now() - interval '20 m', now() - interval '20 m'),
        ('discard', 'failed', 70, 1, 0, 10, 'a', now() - interval '2 h', now() - interval '2 h'),
        ('replay', 'cancelled', 70, 1, 0, 10, 'a', now() - interval '20 m', now()),
        ('replay', 'done', 70, 70, 0, 10, 'a', now() - interval '20 m', now())`)
    assert.deepEqual(await shown(), [1, 2, 1, 1_030, 10])
  })

  test('sees an old snapshot, and an old transaction', async (t) => {
    const db = await database(t)
    const client = await db.pool.connect()
    onCleanup(t, async () => {
      await client.query('rollback')
      client.release()
    })
    await client.query('begin isolation level repeatable read')
    await client.query('select count(*) from tasks')
    for (let n = 0; n < 50; n++) await db.query(`insert into projects (name) values ('x')`)
    const families = await scrapeOf(db)
    assert.ok(valueOf(families, 'webhook_oldest_xmin_age_transactions')! >= 50)
    assert.ok(valueOf(families, 'webhook_oldest_transaction_seconds')! > 0)
  })

  test('has no label that grows with customers, and tells no secret', async (t) => {
    const db = await database(t)
    const hooks = await createReceiver()
    onCleanup(t, () => hooks.close())
    const canary = 'CANARY-51b7'
    const url = hooks.url(`/${canary}?token=${canary}`)
    const service = start(t, db, { API_TOKENS: `read:reader:${canary}` })
    const at = await service.url()
    await complete(db, await runningTasks(db, url, 2))
    await hooks.waitFor(2)
    for (const type of [canary, 'also.unknown']) {
      await db.query(
        `insert into webhook_outbox (event_type, entity_type, entity_id, url, payload) values ($1, 'task', $2, $3, '{}')`,
        [type, canary, url],
      )
    }
    await hooks.waitFor(4)
    assert.equal((await fetch(`${at}/metrics`)).status, 401)
    await eventually(async () => {
      const families = await scrape(at, { authorization: `Bearer ${canary}` })
      const delivered = (event_type: string) =>
        valueOf(families, 'webhook_deliveries_total', { event_type, outcome: 'delivered' })
      assert.deepEqual([delivered('task.completed'), delivered('other')], [2, 2])
      const text = JSON.stringify([...families.values()])
      assert.ok(!text.includes(canary) && !text.includes(new URL(url).host), 'nothing of a URL or a token')
      const ours = [...families.values()].filter(({ name }) => name.startsWith('webhook_'))
      const labels = new Set(ours.flatMap(({ samples }) => samples.flatMap((s) => Object.keys(s.labels))))
      assert.deepEqual([...labels].sort(), [
        'event_type',
        'le',
        'node',
        'outcome',
        'state',
        'table',
        'version',
      ])
    })
  })
})

describe('where Postgres is away', () => {
  const away = (families: Map<string, Family>) => {
    assert.equal(valueOf(families, 'webhook_database_up'), 0)
    assert.equal(
      valueOf(families, 'webhook_owed', { state: 'due' }),
      undefined,
      'what is not known is not told',
    )
    assert.equal(valueOf(families, 'webhook_partition_days_ahead'), undefined)
    assert.ok(valueOf(families, 'process_resident_memory_bytes')! > 0)
  }

  test('a service answers with what it knows itself', async (t) => {
    const service = startServiceProcess({ DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing' })
    onCleanup(t, () => service.stop())
    const families = await scrape(await service.url())
    away(families)
    assert.equal(valueOf(families, 'webhook_listener_connected'), 0)
    assert.equal(
      valueOf(families, 'webhook_deliveries_total', { event_type: 'task.failed', outcome: 'dead' }),
      0,
    )
  })

  test('a Postgres that takes connections and says nothing holds a scrape no longer than its deadline', async (t) => {
    const sockets = new Set<Socket>()
    const silent = createServer((socket) => void sockets.add(socket))
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    onCleanup(t, () => new Promise((resolve) => silent.close(resolve)))
    onCleanup(t, () => sockets.forEach((socket) => socket.destroy()))
    const db = connect(`postgres://nobody@127.0.0.1:${(silent.address() as AddressInfo).port}/nothing`)
    onCleanup(t, () => db.destroy())
    const metrics = createMetrics({ db, version: '0' })
    const start = performance.now()
    const scrapes = await Promise.all([metrics.scrape(), metrics.scrape()])
    assert.ok(performance.now() - start < 3_000)
    assert.equal(sockets.size, 1, 'scrapes that come together ask once')
    for (const text of scrapes) away(parseExposition(text))
  })

  test('and tells again what it says when it is back', async (t) => {
    const db = await database(t)
    const service = start(t, db, { ROLE: 'api' })
    const url = await service.url()
    assert.equal(valueOf(await scrape(url), 'webhook_database_up'), 1)
    await db.query('alter table webhook_outbox rename to webhook_elsewhere')
    away(await scrape(url))
    await db.query('alter table webhook_elsewhere rename to webhook_outbox')
    const families = await scrape(url)
    assert.equal(valueOf(families, 'webhook_owed', { state: 'due' }), 0)
    assert.equal(valueOf(families, 'webhook_listener_connected'), undefined, 'this process does not dispatch')
  })
})

test('a service on a database of another name says that it may not send, until it is confirmed', async (t) => {
  const db = await database(t)
  await db.query(`select webhook_confirm_installation('production')`)
  const url = await start(t, db, { INSTALLATION: 'staging', ROLE: 'api' }).url()
  assert.equal(valueOf(await scrape(url), 'webhook_installation_confirmed'), 0)
  await db.query(`select webhook_confirm_installation('staging')`)
  assert.equal(valueOf(await scrape(url), 'webhook_installation_confirmed'), 1)
})

test('a service counts what it gives up for its age', async (t) => {
  const db = await database(t)
  const at = 'http://127.0.0.1:9/x'
  await endpoint(db, at, { ...open, paused_at: 'now()' })
  await owe(db, at, 2, { created_at: `now() - interval '1 h'` })
  await owe(db, at, 1)
  const url = await start(t, db, { MAX_OWED_AGE: '30m' }).url()
  await eventually(async () => assert.equal(valueOf(await scrape(url), 'webhook_events_expired_total'), 2))
})

test('every ROLE serves metrics, a process that only dispatches too', async (t) => {
  const db = await database(t)
  const service = start(t, db, { ROLE: 'dispatcher' })
  await service.waitForLine((line) => line.msg === 'dispatching')
  assert.equal(valueOf(await scrape(await service.url()), 'webhook_in_flight_limit'), 256)
})

test('with 1,000,000 owed to 1,000 endpoints a scrape is a matter of milliseconds', async (t) => {
  const db = await database(t)
  await db.query(
    `insert into webhook_outbox (event_type, entity_type, entity_id, url, payload, next_attempt_at)
     select 'task.completed', 'task', 'k' || i, 'http://127.0.0.1:9/' || i % 1000, '{}',
       now() + (i % 3600 - 1800) * interval '1 s'
     from generate_series(1, 1000000) i`,
  )
  await db.query('vacuum analyze webhook_outbox')
  assert.notEqual(await countBacklog(kyselyOver(db.pool)), null)
  const metrics = createMetrics({ db: kyselyOver(db.pool), version: '0' })
  let best = Infinity
  for (let n = 0; n < 10; n++) {
    const start = performance.now()
    const families = parseExposition(await metrics.scrape())
    best = Math.min(best, performance.now() - start)
    const owed = ['due', 'held', 'waiting'].map((state) => valueOf(families, 'webhook_owed', { state })!)
    assert.equal(
      owed.reduce((a, b) => a + b),
      1_000_000,
    )
    assert.ok(valueOf(families, 'webhook_backlog_count_age_seconds')! > 0, 'it says how old its count is')
  }
  t.diagnostic(`a scrape, the best of ten: ${best.toFixed(1)} ms`)
  // It is about the plan: by rows the same takes seconds.
  assert.ok(best < 200, `${best.toFixed(1)} ms`)
})
