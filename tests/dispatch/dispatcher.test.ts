import assert from 'node:assert/strict'
import { after, before, test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DispatcherOptions } from '../../src/dispatch/dispatcher.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { createTestDispatcher, type TestDispatcher } from '../support/dispatcher.ts'
import { eventually } from '../support/eventually.ts'
import { createReceiver, type Receiver } from '../support/receiver.ts'
import { complete, eventsOf, runningTasks } from '../support/tasks.ts'

let db: TestDatabase

before(async () => {
  db = await createTestDatabase()
})
after(() => db.drop())

async function receiver(t: TestContext, answer?: Parameters<Receiver['setAnswer']>[0]): Promise<Receiver> {
  const created = await createReceiver(answer === undefined ? {} : { answer })
  onCleanup(t, () => created.close())
  return created
}

function dispatcher(t: TestContext, options: Partial<DispatcherOptions> = {}): TestDispatcher {
  const created = createTestDispatcher(db, options)
  onCleanup(t, () => created.stop())
  return created
}

async function settledAs(ids: string[], state: string): Promise<Record<string, unknown>[]> {
  return eventually(
    async () => {
      const events = await eventsOf(db, ids)
      assert.deepEqual(
        events.map((event) => event.state),
        ids.map(() => state),
      )
      return events
    },
    { description: `all are ${state}` },
  )
}

/** The attempts of a task's event, in order. */
function attemptsOf(id: string): Promise<Record<string, unknown>[]> {
  return db.query(
    `select attempt, status, error, response from webhook_attempts
     where event_id = (select event_id from webhook_events where task_id = $1) order by attempt`,
    [id],
  )
}

test('a committed change is POSTed with its headers and recorded with its attempt', async (t) => {
  const hooks = await receiver(t, { status: 202, body: 'thanks' })
  dispatcher(t).dispatcher.start()
  const ids = await runningTasks(db, hooks.url('/a?b=c'))
  await complete(db, ids)
  const [request] = await hooks.waitFor(1)
  const [event] = await settledAs(ids, 'delivered')
  assert.equal(request?.method, 'POST')
  assert.equal(request.path, '/a?b=c')
  assert.equal(request.headers['content-type'], 'application/json')
  assert.equal(request.headers['webhook-id'], event?.event_id)
  assert.equal(request.headers['webhook-attempt'], '1')
  const [stored] = await db.query('select payload from webhook_history where task_id = $1', [ids[0]])
  assert.equal(request.rawBody.toString(), stored?.payload)
  assert.deepEqual(await attemptsOf(ids[0]!), [{ attempt: 1, status: 202, error: null, response: 'thanks' }])
})

test('a receiver that answers 503 twice gets the third attempt, with the same id and bytes', async (t) => {
  const hooks = await receiver(t, (_, n) => ({ status: n < 3 ? 503 : 200 }))
  dispatcher(t).dispatcher.start()
  const ids = await runningTasks(db, hooks.url())
  await complete(db, ids)
  const requests = await hooks.waitFor(3)
  await settledAs(ids, 'delivered')
  assert.deepEqual(
    requests.map((request) => request.headers['webhook-attempt']),
    ['1', '2', '3'],
  )
  assert.equal(new Set(requests.map((request) => request.headers['webhook-id'])).size, 1)
  assert.equal(new Set(requests.map((request) => request.rawBody.toString())).size, 1)
  assert.ok(requests[1]!.at - requests[0]!.at >= 50, 'the first retry came before its time')
  assert.ok(requests[2]!.at - requests[1]!.at >= 100, 'the second retry came before its time')
  assert.deepEqual(
    (await attemptsOf(ids[0]!)).map((attempt) => attempt.error),
    ['503 Service Unavailable', '503 Service Unavailable', null],
  )
})

test('an event whose retries are used up is dead, with every attempt on record', async (t) => {
  const hooks = await receiver(t, { status: 500, body: 'broken' })
  const { dispatcher: it, lines } = dispatcher(t)
  it.start()
  const ids = await runningTasks(db, hooks.url())
  await complete(db, ids)
  const [event] = await settledAs(ids, 'dead')
  assert.equal(event?.attempts, 4)
  assert.equal(event.last_status, 500)
  assert.equal(hooks.requests.length, 4)
  assert.deepEqual(
    (await attemptsOf(ids[0]!)).map((attempt) => attempt.response),
    ['broken', 'broken', 'broken', 'broken'],
  )
  const logged = lines.filter((line) => line.event_id === event.event_id)
  assert.deepEqual(
    logged.map((line) => [line.attempt, line.outcome]),
    [
      [1, 'retry'],
      [2, 'retry'],
      [3, 'retry'],
      [4, 'dead'],
    ],
  )
})

for (const status of [400, 404, 410, 301]) {
  test(`an answer of ${status} ends an event at its first attempt`, async (t) => {
    const hooks = await receiver(t, { status, headers: { location: 'http://127.0.0.1:1/elsewhere' } })
    dispatcher(t).dispatcher.start()
    const ids = await runningTasks(db, hooks.url())
    await complete(db, ids)
    const [event] = await settledAs(ids, 'dead')
    assert.equal(event?.attempts, 1)
    assert.equal(hooks.requests.length, 1)
  })
}

test('retries come by their own times, and not by the poll', async (t) => {
  const attempts = new Map<string, number>()
  const hooks = await receiver(t, ({ path }) => {
    attempts.set(path, (attempts.get(path) ?? 0) + 1)
    return { status: attempts.get(path)! < 4 ? 503 : 200 }
  })
  dispatcher(t, { pollIntervalMs: 3_600_000, retrySchedule: [31, 53, 97] }).dispatcher.start()
  for (let n = 0; n < 20; n++) {
    await complete(db, await runningTasks(db, hooks.url(`/${n}`)))
  }
  await hooks.waitFor(80, { timeoutMs: 30_000 })
})

test('Retry-After moves the next attempt later', async (t) => {
  const hooks = await receiver(t, (_, n) => ({
    status: n === 1 ? 429 : 200,
    headers: { 'retry-after': '1' },
  }))
  dispatcher(t).dispatcher.start()
  const ids = await runningTasks(db, hooks.url())
  await complete(db, ids)
  const requests = await hooks.waitFor(2)
  assert.ok(requests[1]!.at - requests[0]!.at >= 1_000)
})

test('connection refused and a name that does not resolve are retried, then dead with words for it', async (t) => {
  const gone = await createReceiver()
  const refused = gone.url()
  await gone.close()
  dispatcher(t).dispatcher.start()
  const ids = [
    ...(await runningTasks(db, refused)),
    ...(await runningTasks(db, 'http://does-not-exist.invalid/hook')),
  ]
  await complete(db, ids)
  const events = await settledAs(ids, 'dead')
  assert.deepEqual(
    events.map((event) => event.attempts),
    [4, 4],
  )
  const errors = new Map(events.map((event) => [event.task_id, String(event.last_error)]))
  assert.match(errors.get(ids[0]!)!, /refused/)
  assert.match(errors.get(ids[1]!)!, /resolve/)
})

test('a URL that is none, put there by SQL, ends dead with its reason while others flow', async (t) => {
  const hooks = await receiver(t)
  dispatcher(t).dispatcher.start()
  const broken = await runningTasks(db, 'no url at all')
  const good = await runningTasks(db, hooks.url())
  await complete(db, [...broken, ...good])
  const [event] = await settledAs(broken, 'dead')
  assert.equal(event?.attempts, 1)
  assert.match(String(event.last_error), /URL/i)
  await settledAs(good, 'delivered')
})

test('NUL and broken UTF-8 in an answer keep nobody from being settled', async (t) => {
  const bodies = [
    Buffer.from('a\0b'),
    Buffer.from([0xff, 0xfe, 0x00]),
    Buffer.from('\ud800'),
    Buffer.from('fine'),
  ]
  const hooks = await receiver(t, (_, n) => ({ status: 200, body: bodies[n % 4]! }))
  dispatcher(t).dispatcher.start()
  const ids = await runningTasks(db, hooks.url(), 40)
  await complete(db, ids)
  await settledAs(ids, 'delivered')
})

test('a change committed while a dispatcher sleeps wakes it, long before its poll', async (t) => {
  const hooks = await receiver(t)
  dispatcher(t, { pollIntervalMs: 3_600_000 }).dispatcher.start()
  for (let n = 1; n <= 5; n++) {
    // Asleep means that the lock is held: from then on every capture notifies.
    await eventually(async () => assert.equal((await advisoryLocks()).length, 1), {
      description: 'it sleeps',
    })
    await complete(db, await runningTasks(db, hooks.url()))
    await hooks.waitFor(n, { timeoutMs: 5_000 })
  }
})

test('a transaction that captured before a dispatcher slept, and commits after, is not missed', async (t) => {
  const hooks = await receiver(t)
  const ids = await runningTasks(db, hooks.url())
  const client = await db.pool.connect()
  try {
    await client.query('begin')
    await client.query(`update tasks set status = 'completed' where id = $1`, [ids[0]])
    dispatcher(t, { pollIntervalMs: 3_600_000 }).dispatcher.start()
    // It cannot sleep while this transaction is open, and works for others meanwhile.
    await complete(db, await runningTasks(db, hooks.url()))
    await hooks.waitFor(1)
    // Long enough to fall asleep, if it could.
    await sleep(300)
    await client.query('commit')
  } finally {
    client.release()
  }
  await hooks.waitFor(2, { timeoutMs: 5_000 })
})

test('a change that commits between the last claim and the sleep lock is not missed', async (t) => {
  const hooks = await receiver(t)
  let late: string[] | undefined
  let lookedAt = 0
  const slow = {
    query: async (text: string, values: unknown[]) => {
      const result = await db.pool.query(text, values)
      lookedAt = performance.now()
      // It found nothing, and before it knows, a writer commits that saw nobody asleep.
      if (!text.includes('webhook_claim') || result.rows.length > 1 || late === undefined) return result
      const ids = late
      late = undefined
      assert.deepEqual(await advisoryLocks(), [])
      await complete(db, ids)
      return result
    },
  }
  const started = dispatcher(t, {
    db: slow as unknown as DispatcherOptions['db'],
    pollIntervalMs: 3_600_000,
  })
  started.dispatcher.start()
  for (let round = 1; round <= 5; round++) {
    await eventually(
      async () => {
        assert.equal((await advisoryLocks()).length, 1)
        assert.ok(performance.now() - lookedAt > 100)
      },
      { description: 'it sleeps' },
    )
    const lost = () =>
      started.lines.filter(({ msg }) => msg === 'the session of the sleep lock was lost').length
    const before = lost()
    await db.query(`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'webhook-outbox sleep'`)
    await eventually(() => assert.ok(lost() > before), {
      description: 'it knows that its lock is lost',
    })
    late = await runningTasks(db, hooks.url())
    await db.query(`select pg_notify('webhook_outbox', '')`)
    await hooks.waitFor(round, { timeoutMs: 5_000 })
  }
})

test('between the events of a trickle a dispatcher sleeps on, and a flood wakes it for good', async (t) => {
  const hooks = await receiver(t)
  dispatcher(t, { pollIntervalMs: 3_600_000 }).dispatcher.start()
  await eventually(async () => assert.equal((await advisoryLocks()).length, 1), { description: 'it sleeps' })
  let received = 0
  for (let n = 0; n < 20; n++) {
    const ids = await runningTasks(db, hooks.url())
    await complete(db, ids)
    await hooks.waitFor((received += 1), { timeoutMs: 5_000 })
    assert.equal((await advisoryLocks()).length, 1, 'writers notify')
  }
  const flood = await runningTasks(db, hooks.url(), 1_000)
  await complete(db, flood)
  await eventually(async () => assert.deepEqual(await advisoryLocks(), []), { description: 'it is busy' })
  await hooks.waitFor(received + 1_000, { timeoutMs: 20_000 })
  await eventually(async () => assert.equal((await advisoryLocks()).length, 1), {
    description: 'it sleeps again',
  })
})

test('what waits at the endpoint of an event that is due now comes in its time, and not with the poll', async (t) => {
  const hooks = await receiver(t)
  dispatcher(t, { pollIntervalMs: 3_600_000 }).dispatcher.start()
  await eventually(async () => assert.equal((await advisoryLocks()).length, 1), { description: 'it sleeps' })
  await db.query(
    `insert into webhook_outbox (event_type, entity_type, entity_id, url, payload, next_attempt_at)
     select 'task.completed', 'task', 't' || n, $1, '{}', now() + n * interval '400 ms' from generate_series(0, 3) n`,
    [hooks.url()],
  )
  await db.query(`select pg_notify('webhook_outbox', '')`)
  await hooks.waitFor(4, { timeoutMs: 5_000 })
})

test('a due row that somebody has locked is waited for, without a hot loop', async (t) => {
  const hooks = await receiver(t)
  const ids = await runningTasks(db, hooks.url())
  await complete(db, ids)
  let claims = 0
  const counting = {
    query: (text: string, values: unknown[]) => {
      if (text.includes('webhook_claim')) claims++
      return db.pool.query(text, values)
    },
  }
  const client = await db.pool.connect()
  try {
    await client.query('begin')
    await client.query('select from webhook_outbox for update')
    dispatcher(t, { db: counting as unknown as DispatcherOptions['db'] }).dispatcher.start()
    const start = performance.now()
    await eventually(() => assert.ok(performance.now() - start > 1_000))
    assert.ok(claims > 1 && claims < 100, `${claims} claims in a second`)
  } finally {
    await client.query('rollback')
    client.release()
  }
  await hooks.waitFor(1)
  await settledAs(ids, 'delivered')
})

test('without any notification the poll delivers', async (t) => {
  const hooks = await receiver(t)
  // Nobody listens there: neither notifications nor the sleep lock are to be had.
  const listenUrl = 'postgres://nobody@127.0.0.1:9/nothing'
  dispatcher(t, { listenUrl, pollIntervalMs: 200 }).dispatcher.start()
  for (let n = 1; n <= 3; n++) {
    await complete(db, await runningTasks(db, hooks.url()))
    await hooks.waitFor(n)
  }
})

test('three dispatchers share a backlog, and nothing is sent twice', async (t) => {
  const seen = new Map<string, number>()
  const hooks = await receiver(t, (request) => {
    const id = String(request.headers['webhook-id'])
    seen.set(id, (seen.get(id) ?? 0) + 1)
    return { status: 200, delayMs: 5 }
  })
  const ids = await runningTasks(db, hooks.url(), 600)
  await complete(db, ids)
  const three = [1, 2, 3].map(() => dispatcher(t, { maxInFlight: 16 }))
  for (const { dispatcher: it } of three) it.start()
  await hooks.waitFor(600)
  await settledAs(ids, 'delivered')
  assert.equal(seen.size, 600)
  assert.ok([...seen.values()].every((times) => times === 1))
  for (const { lines } of three)
    assert.ok(
      lines.some((line) => line.outcome === 'delivered'),
      'one did nothing',
    )
})

test('a stop waits for what is under way, and leaves nothing leased', async (t) => {
  const hooks = await receiver(t, { status: 200, delayMs: 300 })
  const it = dispatcher(t)
  const ids = await runningTasks(db, hooks.url(), 10)
  await complete(db, ids)
  it.dispatcher.start()
  await hooks.waitFor(10)
  await it.stop()
  assert.deepEqual(
    (await eventsOf(db, ids)).map((event) => event.state),
    ids.map(() => 'delivered'),
  )
})

test('a stop hands back what is stuck after its grace, and another dispatcher sends it at once', async (t) => {
  const hooks = await receiver(t, (_, n) => (n === 1 ? 'hang' : { status: 200 }))
  const it = dispatcher(t, { shutdownGraceMs: 100, deliveryTimeoutMs: 9_000, leaseMs: 60_000 })
  const ids = await runningTasks(db, hooks.url())
  await complete(db, ids)
  it.dispatcher.start()
  await hooks.waitFor(1)
  await it.stop()
  const [row] = await db.query('select state, attempts, attempts_before, lease_until from webhook_outbox')
  assert.deepEqual(row, { state: 'pending', attempts: 1, attempts_before: 1, lease_until: null })
  dispatcher(t).dispatcher.start()
  const [, second] = await hooks.waitFor(2)
  assert.equal(second?.headers['webhook-attempt'], '2')
  await settledAs(ids, 'delivered')
})

test('stop is safe before start, and twice', async () => {
  const it = createTestDispatcher(db)
  await it.dispatcher.stop()
  it.dispatcher.start()
  await it.dispatcher.stop()
  await it.stop()
})

test('a dispatcher whose every connection is terminated goes on', async (t) => {
  const hooks = await receiver(t)
  dispatcher(t).dispatcher.start()
  for (let n = 1; n <= 3; n++) {
    await complete(db, await runningTasks(db, hooks.url()))
    await hooks.waitFor(n)
    await db.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid()`,
    )
  }
})

async function advisoryLocks(): Promise<unknown[]> {
  return db.query(
    `select from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock' and granted
     and database = (select oid from pg_database where datname = current_database())`,
  )
}
