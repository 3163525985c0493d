import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { runCli } from '../cli/support.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { receiver } from '../support/endpoints.ts'
import { eventually } from '../support/eventually.ts'
import { putEvent, putTicket } from '../support/events.ts'
import { type ServiceProcess, startServiceProcess } from '../support/service-process.ts'
import { complete, runningTasks } from '../support/tasks.ts'

async function database(t: TestContext, copyOf?: TestDatabase): Promise<TestDatabase> {
  const created = await createTestDatabase(copyOf === undefined ? {} : { copyOf })
  onCleanup(t, () => created.drop())
  return created
}

async function start(
  t: TestContext,
  db: TestDatabase,
  env: Record<string, string> = {},
): Promise<ServiceProcess> {
  const service = startServiceProcess({
    DATABASE_URL: db.url,
    STUCK_SWEEP_INTERVAL: '100ms',
    AGENT_STUCK_AFTER: '1s',
    ...env,
  })
  onCleanup(t, () => service.stop())
  await service.waitForLine((line) => line.msg === 'dispatching')
  return service
}

/** A database that "production" has sent from, and a copy of it, in which everything that could be sent is due. */
async function originalAndCopy(t: TestContext, url: string): Promise<TestDatabase> {
  const original = await database(t)
  const production = await start(t, original, { INSTALLATION: 'production' })
  await complete(original, await runningTasks(original, url))
  await eventually(async () =>
    assert.equal((await original.query(`select from webhook_history where outcome = 'delivered'`)).length, 1),
  )
  assert.equal(await production.stop(), 0)
  const copy = await database(t, original)
  await complete(copy, await runningTasks(copy, url, 3))
  // In flight when the copy was made.
  await putEvent(copy, {
    ...{ outcome: null, url, state: 'delivering', attempts: 1, lease_token: randomUUID() },
    ...{ lease_until: '2026-01-01T00:00:00Z', event_type: 'of a lease' },
  })
  // Dead, and its endpoint has answered since.
  await putEvent(copy, { url, recoverable: true, created_at: new Date(), event_type: 'of the dead' })
  await copy.query('update webhook_endpoints set owes_dead = true, recover_rest = true, recover_at = now()')
  // In a bulk replay that was under way.
  const { ticket_id } = await putTicket(copy, { url })
  const replayed = await putEvent(copy, { url, ticket_id, event_type: 'of a bulk replay' })
  await copy.query(
    `with operation as (
       insert into webhook_operations (kind, matched, rate, requested_by) values ('replay', 1, 100, 'test') returning id
     )
     insert into webhook_operation_batches (operation_id, n, event_ids) select id, 1, array[$1::uuid] from operation`,
    [replayed],
  )
  // An agent that has lapsed.
  const [task] = await runningTasks(copy, url)
  await copy.query(`insert into agents (id, last_heartbeat) values ('lapsed', now() - interval '1 hour')`)
  await copy.query(
    `update tasks set assigned_agent_id = 'lapsed', started_at = now() - interval '1 hour' where id = $1`,
    [task],
  )
  await copy.query(
    `update webhook_stuck_sweep set started = true, swept_at = now(), judge_from = '-infinity'`,
  )
  return copy
}

/** What the copy holds besides the original's own delivery: 3 completed, a lease, a dead one, a replayed one, a stuck agent. */
const inCopy = 7

test('a copy sends nothing, says so everywhere, and sends all of it once an operator confirms', async (t) => {
  const hooks = await receiver(t)
  const copy = await originalAndCopy(t, hooks.url())
  assert.equal(hooks.requests.length, 1)
  const service = await start(t, copy, { INSTALLATION: 'staging' })
  const url = await service.url()

  const line = await service.waitForLine(({ level }) => level === 'error')
  assert.match(line.msg as string, /belongs to the installation "production".*runs as "staging"/)
  assert.match(line['mend'] as string, /npx webhook-outbox confirm-installation staging/)

  const ready = await fetch(`${url}/readyz`)
  assert.equal(ready.status, 503)
  const { checks } = (await ready.json()) as { checks: Record<string, { status: string; detail: string }> }
  assert.equal(checks['installation']?.status, 'failing')
  assert.match(
    checks['installation'].detail,
    /"production".*"staging".*webhook_confirm_installation\('staging'\)/,
  )

  const [env, api] = [{ DATABASE_URL: copy.url, INSTALLATION: 'staging' }, { WEBHOOK_OUTBOX_URL: url }]
  const status = await runCli(['status'], api)
  assert.equal(status.code, 1)
  assert.match(status.stdout, /^installation +failing: .*"production".*"staging"/m)
  assert.match(status.stdout, /^Next: .*confirm-installation/m)
  const doctor = await runCli(['doctor'], env)
  assert.equal(doctor.code, 1)
  assert.match(doctor.stdout, /^wrong {2}installation: .*"production".*"staging"/m)
  const [endpoint] = await copy.query<{ id: string }>('select id from webhook_endpoints')
  const tested = await runCli(['test', endpoint!.id], api)
  assert.match(
    tested.stderr,
    /^refused \(409 Conflict\): this database belongs to the installation "production"/,
  )

  const [task] = await copy.query<{ task_id: string }>(
    `select task_id from webhook_outbox where attempts = 0`,
  )
  const shown = await runCli(['show', task!.task_id], api)
  assert.match(shown.stdout, /^why +other_installation: .*until an operator confirms/m)

  // Seconds have passed, in which everything would have gone out.
  assert.equal(hooks.requests.length, 1)
  const [still] = await copy.query(`
    select (select count(*)::integer from webhook_outbox) as owed,
      (select count(*)::integer from webhook_attempts) as attempts,
      (select count(*)::integer from webhook_operations where state = 'queued') as operations,
      (select count(*)::integer from agent_stuck_episodes) as episodes`)
  assert.deepEqual(still, { owed: 4, attempts: 1, operations: 1, episodes: 0 })

  const confirmed = await runCli(['confirm-installation', 'staging'], api)
  assert.equal(confirmed.code, 0, confirmed.stderr)
  await hooks.waitFor(1 + inCopy)
  const types = hooks.requests.map(({ body }) => body.event_type ?? '')
  assert.equal(types.filter((type) => type === 'agent.stuck').length, 1)
  await eventually(async () => {
    const rows = await copy.query(`select from webhook_history where outcome = 'delivered'`)
    assert.equal(rows.length, 1 + inCopy)
  })
  const ids = hooks.requests.map(({ headers }) => headers['webhook-id'])
  assert.equal(new Set(ids).size, ids.length, 'each once')
  assert.equal((await fetch(`${url}/readyz`)).status, 200)
  assert.equal(service.lines.filter(({ level }) => level === 'error').length, 1, 'it is said once')
  assert.ok(service.lines.some(({ msg }) => msg === 'the installation is confirmed: sending'))
  const audit = await copy.query('select action, target, detail from webhook_audit')
  assert.deepEqual(audit, [
    {
      action: 'installation.confirm',
      target: 'installation',
      detail: { name: 'staging', was: 'production' },
    },
  ])
  assert.equal(await service.stop(), 0)
})

test('a service without a name sends nothing from a database that has one, until the name is forgotten', async (t) => {
  const hooks = await receiver(t)
  const copy = await originalAndCopy(t, hooks.url())
  const service = await start(t, copy)
  const line = await service.waitForLine(({ level }) => level === 'error')
  assert.match(line.msg as string, /"production", and this service runs without INSTALLATION/)
  const doctor = await runCli(['doctor'], { DATABASE_URL: copy.url })
  assert.match(doctor.stdout, /confirm-installation --none/)
  assert.equal(hooks.requests.length, 1)
  await copy.query('select webhook_confirm_installation(null)')
  await hooks.waitFor(1 + inCopy)
  assert.equal(await service.stop(), 0)
})

test('a dispatcher that runs stops when another name is confirmed, and goes on when its own is', async (t) => {
  const hooks = await receiver(t)
  const db = await database(t)
  const service = await start(t, db, { INSTALLATION: 'blue' })
  await complete(db, await runningTasks(db, hooks.url()))
  await hooks.waitFor(1)

  await db.query(`select webhook_confirm_installation('green')`)
  await service.waitForLine(({ level }) => level === 'error')
  await complete(db, await runningTasks(db, hooks.url(), 5))
  // It sends nothing, and another one that is green does.
  const green = await start(t, db, { INSTALLATION: 'green' })
  await hooks.waitFor(6)
  assert.equal(await green.stop(), 0)
  assert.equal(service.lines.filter(({ outcome }) => outcome === 'delivered').length, 1)
  assert.equal(green.lines.filter(({ outcome }) => outcome === 'delivered').length, 5)

  await complete(db, await runningTasks(db, hooks.url(), 2))
  assert.equal(hooks.requests.length, 6)
  await db.query(`select webhook_confirm_installation('blue')`)
  await hooks.waitFor(8)
  assert.equal(await service.stop(), 0)
})

test('the first service that dispatches names the database; one that only serves the API does not', async (t) => {
  const db = await database(t)
  const api = startServiceProcess({ DATABASE_URL: db.url, ROLE: 'api', INSTALLATION: 'api' })
  onCleanup(t, () => api.stop())
  assert.equal((await fetch(`${await api.url()}/readyz`)).status, 200)
  await start(t, db, { INSTALLATION: 'production' })
  assert.deepEqual(await db.query('select name from webhook_installation'), [{ name: 'production' }])
  assert.equal((await fetch(`${await api.url()}/readyz`)).status, 503)
})
