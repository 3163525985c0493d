import assert from 'node:assert/strict'
import { after, test, type TestContext } from 'node:test'
import { oldTransactions } from '../../src/cli/doctor/activity.ts'
import { kyselyOver } from '../../src/database/connection.ts'
import { readConfig } from '../../src/config.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { clear, dispatcher, endpoint, open, owe } from '../support/endpoints.ts'
import { eventually } from '../support/eventually.ts'
import { putEvent } from '../support/events.ts'
import { complete, eventsOf, runningTasks } from '../support/tasks.ts'
import { runCli } from './support.ts'

const owner = { after }
const db = await createTestDatabase()
onCleanup(owner, () => db.drop())
// Idle, so that nothing is found but what a test has broken.
dispatcher(owner, db).dispatcher.start()
await eventually(async () => assert.equal((await examine()).code, 0), { timeoutMs: 20_000 })

interface Finding {
  check: string
  level: 'wrong' | 'note'
  what: string
  mend: string
}

async function examine(of: TestDatabase = db): Promise<{ code: number | null; findings: Finding[] }> {
  const { code, stdout, stderr } = await runCli(['doctor', '--json'], { DATABASE_URL: of.url })
  assert.equal(stderr, '')
  const { checks } = JSON.parse(stdout) as { checks: { check: string; findings: Omit<Finding, 'check'>[] }[] }
  return {
    code,
    findings: checks.flatMap(({ check, findings }) => findings.map((one) => ({ check, ...one }))),
  }
}

/** A database of its own, whose dispatcher is not there. */
async function broken(t: TestContext, ...statements: string[]): Promise<TestDatabase> {
  const own = await createTestDatabase()
  onCleanup(t, () => own.drop())
  for (const statement of statements) await own.query(statement)
  return own
}

/** Findings besides the missing dispatcher. */
async function besides(own: TestDatabase): Promise<Finding[]> {
  return (await examine(own)).findings.filter(({ check }) => check !== 'dispatchers')
}

test('a database where all is well: every check is ok, exit 0', async () => {
  const { code, stdout } = await runCli(['doctor'], { DATABASE_URL: db.url })
  assert.equal(code, 0, stdout)
  assert.match(stdout, /Nothing is wrong\.\n$/)
  const [name, ...lines] = stdout.trimEnd().split('\n')
  // With whose rights and where, and no password.
  const { host, pathname, username } = new URL(db.url)
  assert.match(name!, new RegExp(`^database postgres(ql)?://${username}(:\\*{3})?@${host}${pathname}$`))
  for (const line of lines.slice(0, -2)) assert.match(line, /^ok {5}/)
})

test('a finding says what is wrong and how to mend it, exit 1', async (t) => {
  const own = await broken(t)
  const { code, stdout } = await runCli(['doctor'], { DATABASE_URL: own.url })
  assert.equal(code, 1)
  assert.match(stdout, /^wrong {2}dispatchers: no dispatcher is connected: nothing is sent/m)
  assert.match(stdout, /^ {7}mend: start the service with ROLE=all or ROLE=dispatcher/m)
  assert.match(stdout, /\n1 thing to mend\.\n$/)
})

// Each is broken, found, mended by the SQL that doctor gives, and found no more.
for (const [what, statements, check, said] of [
  [
    'the trigger on tasks is dropped',
    ['drop trigger webhook_capture_task on tasks'],
    'capture triggers',
    /the trigger on tasks is missing: completed and failed tasks send nothing/,
  ],
  [
    'the triggers of the URLs are dropped',
    ['drop trigger webhook_url_of_tickets on tickets', 'drop trigger webhook_url_of_projects on projects'],
    'capture triggers',
    /the trigger on (tickets|projects) is missing/,
  ],
  [
    'the triggers of agents are dropped',
    [
      'drop trigger webhook_heartbeat on agents',
      'drop trigger webhook_capture_stuck_agent on agent_stuck_episodes',
    ],
    'capture triggers',
    /is missing: (stuck agents send nothing|a heartbeat ends no stuck episode)/,
  ],
  [
    'the trigger on tasks is disabled',
    ['alter table tasks disable trigger webhook_capture_task'],
    'capture triggers',
    /is disabled: completed and failed tasks send nothing/,
  ],
  [
    'capture runs with the rights of writers',
    ['alter function webhook_capture_task() security invoker'],
    'capture functions and their rights',
    /runs with the rights of whoever changes a row/,
  ],
  [
    'everybody may execute capture',
    ['grant execute on function webhook_capture_task() to public'],
    'capture functions and their rights',
    /everybody may execute webhook_capture_task\(\)/,
  ],
  [
    'a database whose sessions fire no triggers',
    [
      `do $$ begin execute format('alter database %I set session_replication_role = replica', current_database()); end $$`,
    ],
    'session_replication_role',
    /no capture trigger fires/,
  ],
  [
    'rows of today in a default partition',
    [
      `do $$ declare p text; begin
         for p in select name from webhook_partitions where parent = 'webhook_history_dead' loop
           execute format('drop table %I', p);
         end loop;
       end $$`,
      `insert into webhook_history (event_id, event_type, entity_type, entity_id, url, payload, outcome, attempts, created_at)
       values (gen_random_uuid(), 'task.failed', 'task', 'k', 'http://x/', '{}', 'dead', 1, now())`,
    ],
    'partitions',
    /partitions are made for 0 days ahead|rows of today or later are in webhook_history_dead_default/,
  ],
] as const) {
  test(`${what}: it is found, and what doctor says mends it`, async (t) => {
    const own = await broken(t, ...statements)
    const found = (await besides(own)).filter(({ level }) => level === 'wrong')
    assert.ok(found.length > 0)
    for (const one of found) {
      assert.equal(one.check, check)
      assert.match(one.what, said)
      await own.query(one.mend.replace(/, which moves them$/, ''))
    }
    assert.deepEqual(
      (await besides(own)).filter(({ level }) => level === 'wrong'),
      [],
    )
  })
}

test('a capture trigger that doctor gave captures', async (t) => {
  const own = await broken(t, 'drop trigger webhook_capture_task on tasks')
  const ids = await runningTasks(own, 'http://127.0.0.1:9/hook', 1)
  for (const { mend } of await besides(own)) await own.query(mend)
  await complete(own, ids)
  assert.equal((await eventsOf(own, ids)).length, 1)
})

test('where tasks is partitioned, doctor gives the trigger that captures there', async (t) => {
  const own = await createTestDatabase({ migrated: false })
  onCleanup(t, () => own.drop())
  await own.query(
    `create table tasks (id text, ticket_id text, title text, status text) partition by list (status)`,
  )
  await own.query('create table tasks_all partition of tasks default')
  assert.equal((await runCli(['migrate'], { DATABASE_URL: own.url })).code, 0)
  assert.deepEqual(await besides(own), [])
  await own.query('drop trigger zzz_webhook_capture_task on tasks')
  const [found, ...others] = await besides(own)
  assert.deepEqual(others, [])
  await own.query(found!.mend)
  assert.deepEqual(await besides(own), [])
})

test('pending migrations are named, and nothing else is looked at', async (t) => {
  const own = await createTestDatabase({ migrated: false })
  onCleanup(t, () => own.drop())
  const { code, findings } = await examine(own)
  assert.equal(code, 1)
  assert.equal(findings.length, 1)
  assert.match(findings[0]!.what, /the database lacks 0001_host_tables/)
  assert.match(findings[0]!.mend, /^webhook-outbox migrate/)
})

test('a column of the host that was renamed is named', async (t) => {
  const own = await broken(t, 'alter table tickets rename column webhook_url to hook')
  const [found] = await besides(own)
  assert.match(found!.what, /tickets lacks webhook_url/)
})

test('rights that the role of the service lacks are named, with the grant', async (t) => {
  const own = await broken(t)
  const role = `doctor_${process.pid}`
  await own.query(`create role ${role} login password 'doctor'`)
  onCleanup(t, () => own.query(`drop owned by ${role}; drop role ${role}`))
  await own.query(`grant select on all tables in schema public to ${role}`)
  const url = new URL(own.url)
  ;[url.username, url.password] = [role, 'doctor']
  const found = (await besides({ ...own, url: url.href })).filter(
    ({ check }) => check === 'rights of this role',
  )
  assert.ok(found.some(({ what }) => what === `${role} lacks insert, update, delete on webhook_outbox`))
  assert.ok(found.some(({ what }) => what.startsWith(`${role} lacks execute on webhook_settle(`)))
  for (const { mend } of found) await own.query(mend)
  const after = (await besides({ ...own, url: url.href })).filter(
    ({ check }) => check === 'rights of this role',
  )
  assert.deepEqual(after, [])
})

test('rows of past days in a default partition are a note', async (t) => {
  const own = await broken(t)
  await putEvent(own, { settled_at: '2020-01-01T00:00:00Z' })
  const [found, ...others] = await besides(own)
  assert.deepEqual(others, [])
  assert.equal(found!.level, 'note')
  assert.match(found!.what, /1 rows of past days are in webhook_history_dead_default/)
})

test('endpoints that are paused or whose breaker is open are named where something is owed to them', async (t) => {
  const own = await broken(t)
  for (const [url, columns] of [
    ['http://127.0.0.1:9/paused?secret=CANARY', { paused_at: 'now()', paused_reason: `'410 Gone'` }],
    ['http://127.0.0.1:9/open', { ...open, last_error: `'503 Service Unavailable'` }],
    ['http://127.0.0.1:9/late', {}],
  ] as const) {
    await endpoint(own, url.split('?')[0]!, columns)
    await owe(own, url, 2, { next_attempt_at: `now() - interval '5 minutes'` })
  }
  const found = (await besides(own)).filter(({ check }) => check === 'what is owed')
  assert.deepEqual(found.map(({ what }) => what).sort(), [
    found.find(({ what }) => what.includes('/late'))!.what,
    '2 events owed to http://127.0.0.1:9/open: its breaker is open, as it failed too often; the last error: 503 Service Unavailable',
    '2 events owed to http://127.0.0.1:9/paused: it is paused (410 Gone)',
  ])
  assert.match(found.find(({ what }) => what.includes('/late'))!.what, /the oldest has been due for 5m/)
  assert.match(
    found.find(({ what }) => what.includes('/paused'))!.mend,
    /^webhook-outbox resume [\da-f-]{36}$/,
  )
  await clear(own)
})

test('what a dispatcher that is gone has left leased, and a sweep that stands still, are named', async (t) => {
  const own = await broken(
    t,
    `update webhook_stuck_sweep set started = true, swept_at = now() - interval '1 hour'`,
  )
  await owe(own, 'http://127.0.0.1:9/left', 1, {
    state: `'delivering'`,
    attempts: '1',
    lease_until: `now() - interval '5 minutes'`,
  })
  const found = await besides(own)
  assert.match(found.find(({ check }) => check === 'leases')!.what, /1 event of a dispatcher that is gone/)
  assert.match(found.find(({ check }) => check === 'search for stuck agents')!.what, /for 1h/)
})

test('dead events are a note, and no reason for exit 1', async (t) => {
  await putEvent(db, { settled_at: new Date() })
  onCleanup(t, () => clear(db))
  const { code, findings } = await examine()
  assert.equal(code, 0)
  assert.deepEqual(
    findings.map(({ level, what }) => [level, what]),
    [['note', '1 event died within a day']],
  )
})

test('a transaction that is open too long is named with how to end it', async (t) => {
  const own = await broken(t)
  const client = await own.pool.connect()
  onCleanup(t, () => client.release(true))
  await client.query('begin')
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid, txid_current()')
  const patient = { db: kyselyOver(own.pool), config: readConfig({}) }
  assert.deepEqual(await oldTransactions(15).look(patient), [])
  const [found] = await oldTransactions(0).look(patient)
  assert.match(found!.what, /a transaction of test .*is open since/)
  assert.equal(found!.mend, `select pg_terminate_backend(${rows[0]!.pid})`)
})
