import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import { migrateToLatest } from '../src/database/migrate.ts'
import { onCleanup } from './support/cleanup.ts'
import { createTestDatabase, type TestDatabase } from './support/database.ts'
import { eventually } from './support/eventually.ts'
import { createReceiver } from './support/receiver.ts'
import { startServiceProcess, type ServiceProcess } from './support/service-process.ts'
import { complete, eventsOf, runningTasks } from './support/tasks.ts'

let db: TestDatabase

before(async () => {
  db = await createTestDatabase()
})
after(() => db.drop())

function start(t: TestContext, env: Record<string, string> = {}): ServiceProcess {
  const service = startServiceProcess({ DATABASE_URL: db.url, ADDRESS_POLICY: 'loopback', ...env })
  onCleanup(t, () => service.stop())
  return service
}

const ready = (url: string) => fetch(`${url}/readyz`)

test('a task completed over the API arrives, and a SIGTERM ends the service with 0', async (t) => {
  const hooks = await createReceiver()
  onCleanup(t, () => hooks.close())
  const service = start(t)
  const url = await service.url()
  const [id] = await runningTasks(db, hooks.url())
  const answer = await fetch(`${url}/api/v1/tasks/${encodeURIComponent(id!)}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ status: 'completed', result: { output_summary: 'done' } }),
  })
  assert.equal(answer.status, 200)
  const [request] = await hooks.waitFor(1)
  assert.equal(request?.body.data.output_summary, 'done')
  assert.match(String(request?.headers['user-agent']), /^webhook-outbox\/\d+\.\d+\.\d+$/)
  assert.equal(await service.stop(), 0)
})

test('a SIGTERM waits for what is under way, and leaves nothing leased', async (t) => {
  const hooks = await createReceiver({ answer: { status: 200, delayMs: 500 } })
  onCleanup(t, () => hooks.close())
  const service = start(t)
  await service.url()
  const ids = await runningTasks(db, hooks.url(), 20)
  await complete(db, ids)
  await hooks.waitFor(20)
  assert.equal(await service.stop(), 0)
  const states = await db.query('select distinct state from webhook_events where task_id = any($1)', [ids])
  assert.deepEqual(states, [{ state: 'delivered' }])
})

test('no part of a URL that may hold a secret appears in the log, nor in an error', async (t) => {
  const hooks = await createReceiver({ answer: (_, n) => ({ status: n % 2 === 0 ? 200 : 500 }) })
  onCleanup(t, () => hooks.close())
  const service = start(t, { LOG_LEVEL: 'trace', RETRY_SCHEDULE: '10ms' })
  await service.url()
  const canary = 'CANARY-7f3a'
  const { port } = new URL(hooks.url())
  const urls = [
    hooks.url(`/${canary}?token=${canary}#${canary}`),
    `http://user:${canary}@127.0.0.1:${port}/${canary}`,
    `http://does-not-exist.invalid/${canary}?${canary}`,
    `gopher://127.0.0.1/${canary}`,
    `no url ${canary}`,
  ]
  const ids = (await Promise.all(urls.map((url) => runningTasks(db, url)))).flat()
  await complete(db, ids)
  await eventually(async () => {
    const open = await db.query('select from webhook_outbox where task_id = any($1)', [ids])
    assert.equal(open.length, 0)
  })
  await service.stop()
  assert.ok(service.lines.length >= 7)
  assert.ok(!JSON.stringify(service.lines).includes(canary))
  assert.ok(!service.stderr().includes(canary))
  const errors = await db.query(
    `select error from webhook_attempts where error like '%' || $1 || '%'
     union all select last_error from webhook_events where last_error like '%' || $1 || '%'`,
    [canary],
  )
  assert.deepEqual(errors, [])
})

test('ADDRESS_POLICY, ADDRESS_ALLOW and ADDRESS_DENY hold for what is stored over the API and by SQL', async (t) => {
  const own = await createTestDatabase()
  onCleanup(t, () => own.drop())
  const hooks = await createReceiver()
  onCleanup(t, () => hooks.close())
  const env = { DATABASE_URL: own.url, ADDRESS_POLICY: 'public' }
  const patch = async (service: ServiceProcess, id: string) =>
    fetch(`${await service.url()}/api/v1/tickets/${encodeURIComponent(id)}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ webhook_url: hooks.url() }),
    })
  const ticketOf = async (task: string) =>
    (await own.query<{ ticket_id: string }>('select ticket_id from tasks where id = $1', [task]))[0]!
      .ticket_id

  for (const [more, error] of [
    [{}, 'neither ADDRESS_POLICY=public nor ADDRESS_ALLOW allows'],
    [{ ADDRESS_ALLOW: '127.0.0.0/8', ADDRESS_DENY: '127.0.0.1/32' }, 'is denied by ADDRESS_DENY'],
  ] as const) {
    const service = start(t, { ...env, ...more })
    const ids = await runningTasks(own, hooks.url())
    const refused = await patch(service, await ticketOf(ids[0]!))
    assert.equal(refused.status, 422)
    assert.ok((await refused.text()).includes(error))
    await complete(own, ids)
    await eventually(async () => {
      const [event] = await eventsOf(own, ids)
      assert.deepEqual([event?.state, event?.attempts], ['dead', 1])
      assert.ok(event?.last_error?.startsWith('address not allowed: 127.0.0.1 '), String(event?.last_error))
      assert.ok(event?.last_error?.includes(error))
    })
    assert.equal(await service.stop(), 0)
  }
  assert.equal(hooks.requests.length, 0)

  const service = start(t, { ...env, ADDRESS_ALLOW: '127.0.0.0/8' })
  const ids = await runningTasks(own, hooks.url())
  assert.equal((await patch(service, await ticketOf(ids[0]!))).status, 200)
  await complete(own, ids)
  await hooks.waitFor(1)
  assert.equal(await service.stop(), 0)
})

test('OPERATOR_WEBHOOK_URL is told of an endpoint that is gone', async (t) => {
  const own = await createTestDatabase()
  onCleanup(t, () => own.drop())
  const [hooks, operator] = [await createReceiver({ answer: { status: 410 } }), await createReceiver()]
  for (const one of [hooks, operator]) onCleanup(t, () => one.close())
  const service = start(t, { DATABASE_URL: own.url, OPERATOR_WEBHOOK_URL: operator.url('/alerts?key=1') })
  await service.waitForLine((line) => line.msg === 'dispatching')
  await complete(own, await runningTasks(own, hooks.url('/gone?key=CANARY')))
  const [request] = await operator.waitFor(1)
  assert.equal(request?.path, '/alerts?key=1')
  assert.equal(request.body.event_type, 'endpoint.failing')
  assert.equal(request.body.data['url'], hooks.url('/gone'))
  assert.ok(!JSON.stringify(service.lines).includes('CANARY'))
  assert.equal(await service.stop(), 0)
})

test('a database that is not migrated is served, says so, and is dispatched once it is', async (t) => {
  const empty = await createTestDatabase({ migrated: false })
  onCleanup(t, () => empty.drop())
  const hooks = await createReceiver()
  onCleanup(t, () => hooks.close())
  const service = start(t, { DATABASE_URL: empty.url })
  const url = await service.url()
  assert.equal((await fetch(`${url}/livez`)).status, 200)
  const before = await ready(url)
  assert.equal(before.status, 503)
  assert.match(await before.text(), /run migrate/)
  const refused = await fetch(`${url}/api/v1/tasks`)
  assert.equal(refused.status, 503)
  await migrateToLatest(empty.url)
  await service.waitForLine((line) => line.msg === 'dispatching')
  assert.equal((await ready(url)).status, 200)
  await complete(empty, await runningTasks(empty, hooks.url()))
  await hooks.waitFor(1)
  assert.equal(await service.stop(), 0)
})

test('Postgres away at boot is waited for: alive, not ready, and no exit', async (t) => {
  const service = start(t, { DATABASE_URL: 'postgres://nobody@127.0.0.1:9/nothing' })
  const url = await service.url()
  await service.waitForLine((line) => line.msg === 'waiting for Postgres')
  assert.equal((await fetch(`${url}/livez`)).status, 200)
  const answer = await ready(url)
  assert.equal(answer.status, 503)
  assert.match(await answer.text(), /Postgres/)
  const api = await fetch(`${url}/api/v1/tasks`)
  assert.equal(api.status, 503)
  assert.ok(api.headers.get('retry-after'))
  assert.equal(await service.stop(), 0)
})

test('npm start hands a SIGTERM on, and ends with 0 when the service has stopped', async (t) => {
  const child = spawn('npm', ['start'], {
    cwd: join(import.meta.dirname, '..'),
    env: { PATH: process.env.PATH, HOME: process.env.HOME, DATABASE_URL: db.url, PORT: '0' },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  onCleanup(t, () => child.kill('SIGKILL'))
  let output = ''
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      if (output.includes('"dispatching"')) resolve()
    })
  })
  child.kill('SIGTERM')
  assert.deepEqual(await once(child, 'close'), [0, null])
  assert.ok(output.includes('"stopped"'))
})

test('durations of months are no shorter for being long', async (t) => {
  const hooks = await createReceiver({ answer: { status: 200, delayMs: 300 } })
  onCleanup(t, () => hooks.close())
  const env = { LEASE: '60d', POLL_INTERVAL: '60d', STUCK_SWEEP_INTERVAL: '60d', SHUTDOWN_GRACE: '60d' }
  const service = start(t, env)
  await service.waitForLine((line) => line.msg === 'dispatching')
  await complete(db, await runningTasks(db, hooks.url()))
  await hooks.waitFor(1)
  assert.equal(await service.stop(), 0)
  assert.ok(service.lines.some((line) => line.outcome === 'delivered'))
  assert.doesNotMatch(service.stderr(), /TimeoutOverflowWarning/)
})

test('a bad configuration ends with 2, and names every bad variable', async (t) => {
  const service = start(t, { PORT: 'many', ROLE: 'king', RETRY_SHEDULE: '1s' })
  assert.equal((await service.exit).code, 2)
  for (const name of ['PORT', 'ROLE', 'RETRY_SHEDULE is unknown: did you mean RETRY_SCHEDULE?']) {
    assert.ok(service.stderr().includes(name), service.stderr())
  }
})

test('a port in use ends with 1, and says what to change', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  onCleanup(t, () => server.close())
  const service = start(t, { PORT: String((server.address() as AddressInfo).port) })
  assert.equal((await service.exit).code, 1)
  assert.match(service.stderr(), /in use: set PORT/)
})

for (const [role, resources, delivers] of [
  ['api', 200, false],
  ['dispatcher', 404, true],
] as const) {
  test(`ROLE=${role} serves its part, and livez and readyz`, async (t) => {
    const own = await createTestDatabase()
    onCleanup(t, () => own.drop())
    const service = start(t, { ROLE: role, DATABASE_URL: own.url })
    const url = await service.url()
    assert.equal((await fetch(`${url}/livez`)).status, 200)
    assert.equal((await ready(url)).status, 200)
    assert.equal((await fetch(`${url}/api/v1/tasks`)).status, resources)
    const sweeps = () => own.query('select from webhook_stuck_sweep where started')
    if (delivers) await eventually(async () => assert.equal((await sweeps()).length, 1))
    else assert.equal((await sweeps()).length, 0)
    assert.equal(await service.stop(), 0)
  })
}
