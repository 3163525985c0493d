import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, test } from 'node:test'
import { Client } from '../../src/client/client.ts'
import { fingerprintOf, newSecret } from '../../src/delivery/signature.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase } from '../support/database.ts'
import { receiver } from '../support/endpoints.ts'
import { eventually } from '../support/eventually.ts'
import { startServiceProcess } from '../support/service-process.ts'
import { complete, eventsOf, runningTasks, type SettledRow } from '../support/tasks.ts'
import { runCli as run } from './support.ts'

const owner = { after }
const token = 'CANARY-write-token'
const db = await createTestDatabase()
onCleanup(owner, () => db.drop())
const service = startServiceProcess({
  DATABASE_URL: db.url,
  API_TOKENS: `write:night-shift:${token},read:dashboard:reading`,
  RETRY_SCHEDULE: '10ms',
})
onCleanup(owner, () => service.stop())
const url = await service.url()
await service.waitForLine((line) => line['msg'] === 'dispatching')

const runCli = (...args: string[]) => run(args, { WEBHOOK_OUTBOX_URL: url, WEBHOOK_OUTBOX_TOKEN: token })

/** Tasks that complete, whose events go to `to`; resolves once each is in that state. */
async function events(to: string, state: string, count = 1): Promise<SettledRow[]> {
  const ids = await runningTasks(db, to, count)
  await complete(db, ids)
  let rows: SettledRow[] = []
  await eventually(async () => {
    rows = await eventsOf(db, ids)
    assert.deepEqual(
      rows.map((row) => row.state),
      ids.map(() => state),
    )
  })
  return rows
}

test('show tells why an event is dead, what to do next, and every attempt; exit 1', async (t) => {
  const hooks = await receiver(t, { status: 503, body: 'busy' })
  const [event] = await events(hooks.url(), 'dead')
  const { code, stdout } = await runCli('show', event!.event_id)
  assert.equal(code, 1)
  assert.match(stdout, new RegExp(`^task\\.completed ${event!.event_id}$`, 'm'))
  assert.match(stdout, /^state +dead$/m)
  assert.match(stdout, /^why +given up: 503 Service Unavailable$/m)
  assert.match(stdout, /webhook-outbox test [\da-f-]{36}/)
  assert.ok(stdout.includes(`webhook-outbox replay ${event!.event_id}`))
  assert.match(stdout, /^ +1 .* 503 +503 Service Unavailable +busy$/m)
  assert.match(stdout, /^ +2 .* 503 +503 Service Unavailable +busy$/m)
})

test('show finds the event by its task, too, and prints its payload', async (t) => {
  const hooks = await receiver(t)
  const [event] = await events(hooks.url(), 'delivered')
  const { code, stdout } = await runCli('show', event!.task_id, '--payload')
  assert.equal(code, 0)
  assert.match(stdout, /^why +the receiver answered with a 2xx$/m)
  assert.match(stdout, /"event_type": "task\.completed"/)
  const json = (await runCli('show', event!.task_id, '--json')).json()
  assert.equal(json['event_id'], event!.event_id)
})

for (const [what, make, why] of [
  ['no task', () => Promise.resolve(randomUUID()), /there is no event and no task/],
  [
    'no URL',
    async () => {
      const [id] = await runningTasks(db, null)
      await complete(db, [id!])
      return id!
    },
    /has no webhook_url, and has no project: without a URL there is no event/,
  ],
  [
    'a task that still runs',
    async () => (await runningTasks(db, 'http://127.0.0.1:9/'))[0]!,
    /the task is running: an event is written when it becomes completed or failed/,
  ],
  [
    'a task without a ticket',
    async () => {
      const id = randomUUID()
      await db.query(`insert into tasks (id, title, status) values ($1, 'a', 'completed')`, [id])
      return id
    },
    /the task has no ticket/,
  ],
  [
    'a task that was inserted as completed',
    async () => {
      const id = randomUUID()
      await db.query(`insert into tickets (id, title, webhook_url) values ($1, 'a', 'http://127.0.0.1:9/')`, [
        id,
      ])
      await db.query(`insert into tasks (id, title, status, ticket_id) values ($1, 'a', 'completed', $1)`, [
        id,
      ])
      return id
    },
    /no event is kept: .*it was inserted as completed/,
  ],
  [
    'a task that the API inserted as completed',
    async () => {
      const id = randomUUID()
      const client = new Client({ baseUrl: url, token })
      await client.createTicket({ id, title: 'a', webhook_url: 'http://127.0.0.1:9/' })
      await client.createTask({ id, ticket_id: id, title: 'a', status: 'completed' })
      return id
    },
    /by its times, the task was inserted as completed and has not changed since/,
  ],
  [
    'a task that completed before it had a URL',
    async () => {
      const [id] = await runningTasks(db, null)
      await complete(db, [id!])
      const client = new Client({ baseUrl: url, token })
      await client.updateTicket(id!.split('/')[0]!, { webhook_url: 'http://127.0.0.1:9/' })
      return id!
    },
    /the webhook_url of its ticket was set by night-shift at \S+, after the task was completed/,
  ],
] as const) {
  test(`show of ${what} says why there is no event; exit 1`, async () => {
    const { code, stdout, stderr } = await runCli('show', await make())
    assert.equal(code, 1, stderr)
    assert.match(stdout, /^why /m)
    assert.match(stdout, why)
    assert.match(stdout, /^next /m)
  })
}

test('show and status name the trigger that did not fire', async (t) => {
  // Of its own, as the other tests need their triggers.
  const own = await createTestDatabase()
  onCleanup(t, () => own.drop())
  const api = startServiceProcess({ DATABASE_URL: own.url, ROLE: 'api' })
  onCleanup(t, () => api.stop())
  const env = { WEBHOOK_OUTBOX_URL: await api.url() }
  await own.query('alter table tasks disable trigger webhook_capture_task')
  const [id] = await runningTasks(own, 'http://127.0.0.1:9/')
  await complete(own, [id!])
  const { code, stdout } = await run(['show', id!], env)
  assert.equal(code, 1)
  assert.match(
    stdout,
    /^why +the task is completed, .* capture is not in place: the trigger webhook_capture_task on tasks is disabled/m,
  )
  assert.match(stdout, /^next +\S.* doctor /m)
  const status = await run(['status'], env)
  assert.equal(status.code, 1)
  assert.match(status.stdout, /^capture +warning: the trigger webhook_capture_task on tasks is disabled/m)

  // Mended, it is owed, and waits for somebody to send it.
  await own.query('alter table tasks enable trigger webhook_capture_task')
  await own.query(`update tasks set status = 'running'; update tasks set status = 'completed'`)
  const owed = await run(['show', id!], env)
  assert.match(owed.stdout, /^why +no_dispatcher: /m)
  assert.doesNotMatch(owed.stdout, /flows/, 'nothing does without a dispatcher')
})

test('a task without an event is sent after all by the SQL that show gives', async (t) => {
  const hooks = await receiver(t)
  const [id] = await runningTasks(db, null)
  await complete(db, [id!])
  await db.query('update tickets set webhook_url = $1 where id = $2', [hooks.url(), id!.split('/')[0]])
  const { stdout } = await runCli('show', id!)
  const [, sql] = /^or +have it sent after all: (begin;.* commit)$/m.exec(stdout) ?? []
  assert.ok(sql !== undefined, stdout)
  await db.query(sql)
  const [request] = await hooks.waitFor(1)
  assert.equal(request!.body.task_id, id)
})

// What is to be mended first stands in the next steps, each with what it takes.
for (const [status, headers, steps] of [
  [301, { location: '/new' }, [/set the webhook_url to where it redirects +PATCH \/api\/v1\/tickets\//]],
  [
    410,
    {},
    [/ask the receiver whether it is gone; try it +\S.* test /, /let its endpoint flow again +\S.* resume /],
  ],
] as const) {
  test(`show of an event that died of ${status} says what to mend before it is replayed`, async (t) => {
    const hooks = await receiver(t, { status, headers })
    const [event] = await events(hooks.url(), 'dead')
    const { stdout } = await runCli('show', event!.event_id)
    for (const step of [...steps, /then deliver it again +\S.* replay /]) assert.match(stdout, step)
  })
}

test('show of an event whose URL was removed says who to ask, and to give it one again', async (t) => {
  const hooks = await receiver(t)
  const [id] = await runningTasks(db, hooks.url())
  const ticket = id!.split('/')[0]!
  await runCli('pause', hooks.url())
  await complete(db, [id!])
  await new Client({ baseUrl: url, token }).updateTicket(ticket, { webhook_url: null })
  const { stdout } = await runCli('show', id!)
  assert.match(stdout, /^state +discarded$/m)
  assert.match(stdout, /see who took it away +GET \/api\/v1\/audit\?action=webhook_url\.change/)
  assert.ok(stdout.includes(`PATCH /api/v1/tickets/${ticket} {"webhook_url": "…"}`), stdout)
})

test('an event that waits out a Retry-After is sent at once by the SQL that show gives', async (t) => {
  const hooks = await receiver(t, (_, n) =>
    n === 1 ? { status: 503, headers: { 'retry-after': '86400' } } : { status: 200 },
  )
  const [id] = await runningTasks(db, hooks.url())
  await complete(db, [id!])
  await eventually(async () => {
    const [event] = await eventsOf(db, [id!])
    assert.equal(event?.state, 'pending')
    assert.equal(event.last_status, 503)
  })
  const { stdout } = await runCli('show', id!)
  assert.match(stdout, /^why +backing_off: attempt 1 failed; .*Retry-After/m)
  const [, sql] = /send it now \(SQL\) +(update .*)$/m.exec(stdout) ?? []
  assert.ok(sql !== undefined, stdout)
  await db.query(sql)
  await hooks.waitFor(2)
})

test('a URL that SQL stored as it was written names its endpoint, too', async (t) => {
  const hooks = await receiver(t)
  // The API would store it with a slash at its end.
  const written = new URL(hooks.url()).origin
  await events(written, 'delivered')
  const paused = await runCli('pause', written)
  assert.equal(paused.code, 0, paused.stderr)
  assert.match(paused.stdout, /is paused\n/)
  // As it is shown.
  assert.equal((await runCli('resume', `${written}/`)).code, 0)
  const listed = (await runCli('deliveries', '--endpoint', written, '--json')).json()
  assert.equal((listed['items'] as unknown[]).length, 1)
})

test('what a receiver answered cannot steer the terminal', async (t) => {
  const hooks = await receiver(t, { status: 400, body: '\x1b[2J\x1b]0;owned\x07ok\u202e\r\nnew line' })
  const [event] = await events(hooks.url(), 'dead')
  const { stdout } = await runCli('show', event!.event_id)
  assert.doesNotMatch(stdout, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/)
  assert.ok(stdout.includes('\\x1b[2J\\x1b]0;owned\\x07ok\\u202e\\r\\nnew line'), stdout)
})

test('deliveries are filtered, newest first, as a table and as JSON', async (t) => {
  const hooks = await receiver(t)
  const rows = await events(hooks.url(), 'delivered', 3)
  const { code, stdout } = await runCli(
    'deliveries',
    '--endpoint',
    hooks.url(),
    '--state',
    'delivered',
    '--from',
    '1h',
  )
  assert.equal(code, 0)
  const [header, ...lines] = stdout.trimEnd().split('\n')
  assert.match(header!, /^event +created +type +of +state +attempts +last error +url$/)
  assert.deepEqual(lines.map((line) => line.split(' ')[0]).sort(), rows.map((row) => row.event_id).sort())
  assert.doesNotMatch(stdout, /\x1b/, 'no colours for a pipe')

  const page = (await runCli('deliveries', '--endpoint', hooks.url(), '--limit', '2', '--json')).json()
  assert.equal((page['items'] as unknown[]).length, 2)
  assert.equal(page['truncated'], true)
  assert.match((await runCli('deliveries', '--task', randomUUID())).stdout, /There are no such events/)
})

test('a value that the API refuses is named, with 1', async () => {
  const { code, stdout, stderr } = await runCli('deliveries', '--state', 'lost')
  assert.equal(code, 1)
  assert.equal(stdout, '')
  assert.match(stderr, /^refused \(422 Unprocessable Entity\)/)
  assert.match(stderr, /^ {2}state must be one of pending, delivering/m)
})

test('replay of one says what it would do, and does it with --yes', async (t) => {
  const hooks = await receiver(t, (_, n) => ({ status: n === 1 ? 400 : 200 }))
  const [event] = await events(hooks.url(), 'dead')
  const dry = await runCli('replay', event!.event_id)
  assert.equal(dry.code, 0)
  assert.match(
    dry.stderr,
    /It would replay task\.completed of .*, which is dead \(400 Bad Request\)\. Nothing was done/,
  )
  assert.equal(hooks.requests.length, 1)
  const done = await runCli('replay', event!.event_id, '--yes')
  assert.equal(done.code, 0, done.stderr)
  assert.match(done.stdout, /^replayed: it is delivered$/m)
  assert.equal(hooks.requests.length, 2)
})

test('replay of one that dies again: 1, and why', async (t) => {
  const hooks = await receiver(t, { status: 404 })
  const [event] = await events(hooks.url(), 'dead')
  const { code, stdout } = await runCli('replay', event!.event_id, '-y')
  assert.equal(code, 1)
  assert.match(stdout, /^last error +404 Not Found$/m)
})

test('replay of what is owed is refused with 1', async (t) => {
  const hooks = await receiver(t, 'hang')
  const [event] = await events(hooks.url(), 'delivering')
  const { code, stderr } = await runCli('replay', event!.event_id, '--yes')
  assert.equal(code, 1)
  assert.match(stderr, /^refused \(409 Conflict\)/)
})

test('replay by filter counts first, and with --yes follows the operation to its end', async (t) => {
  const hooks = await receiver(t, (_, n) => ({ status: n <= 3 ? 400 : 200 }))
  const rows = await events(hooks.url(), 'dead', 3)
  const select = ['--endpoint', hooks.url(), '--state', 'dead']
  const dry = await runCli('replay', ...select)
  assert.equal(dry.code, 0)
  assert.match(dry.stdout, /^3 events to replay: 3 dead$/m)
  assert.match(dry.stderr, /Nothing was done/)
  assert.equal(hooks.requests.length, 3)

  const done = await runCli('replay', ...select, '--yes')
  assert.equal(done.code, 0, done.stderr)
  assert.match(done.stdout, /^replay [\da-f-]{36} is done$/m)
  assert.match(done.stdout, /^done +3$/m)
  assert.match(done.stderr, /operation [\da-f-]{36}/)
  await hooks.waitFor(6)
  assert.deepEqual(
    new Set(hooks.requests.map(({ headers }) => headers['webhook-id'])),
    new Set(rows.map((row) => row.event_id)),
  )
  const json = (await runCli('replay', '--task', randomUUID(), '--json', '--yes')).json()
  assert.equal(json['matched'], 0)
})

test('what is owed to a paused endpoint: show and status say so and what to do, discard gives it up', async (t) => {
  const hooks = await receiver(t)
  await events(hooks.url(), 'delivered')
  const paused = await runCli('pause', hooks.url(), '--reason', 'maintenance until noon')
  assert.equal(paused.code, 0, paused.stderr)
  assert.match(paused.stdout, /is paused$/m)
  const waiting = await events(hooks.url(), 'pending', 3)
  const id = /^endpoint +([\da-f-]{36})$/m.exec(paused.stdout)![1]!

  const shown = await runCli('show', waiting[0]!.event_id)
  assert.equal(shown.code, 0)
  assert.match(shown.stdout, /^why +paused: .*maintenance until noon/m)
  assert.ok(shown.stdout.includes(`webhook-outbox resume ${id}`), shown.stdout)

  const status = await runCli('status')
  assert.equal(status.code, 1)
  assert.match(status.stdout, /^Owed: \d+ events? to \d+ endpoints?/m)
  assert.match(status.stdout, /maintenance until noon/)
  assert.ok(status.stdout.includes(`webhook-outbox resume ${id}`))

  const listed = await runCli('endpoints', '--paused', '--owed')
  assert.match(listed.stdout, new RegExp(`^${id} +\\S+ +paused +3 `, 'm'))

  const one = await runCli('discard', waiting[0]!.event_id)
  assert.match(one.stderr, /It would discard .* Nothing was done/)
  const gone = await runCli('discard', waiting[0]!.event_id, '--yes', '--reason', 'not wanted')
  assert.equal(gone.code, 0, gone.stderr)
  assert.match(
    (await runCli('show', waiting[0]!.event_id)).stdout,
    /^why +discarded by an operator: not wanted$/m,
  )

  const bulk = await runCli('discard', '--endpoint', id, '--yes')
  assert.equal(bulk.code, 0, bulk.stderr)
  assert.match(bulk.stdout, /^done +2$/m)
  const resumed = await runCli('resume', hooks.url())
  assert.equal(resumed.code, 0)
  assert.doesNotMatch(resumed.stdout, /is paused/)
  assert.equal((await runCli('endpoints', id, '--json')).json()['paused_at'], null)
})

test('test sends one event and tells what came of it: 0 for a 2xx, else 1', async (t) => {
  const hooks = await receiver(t, (_, n) =>
    n === 1 ? { status: 200 } : { status: 500, body: 'broken\x1b[31m' },
  )
  await events(hooks.url(), 'delivered')
  const failed = await runCli('test', hooks.url())
  assert.equal(failed.code, 1)
  assert.match(failed.stdout, /did not take it$/m)
  assert.match(failed.stdout, /^answer +broken\\x1b\[31m$/m)
  hooks.setAnswer({ status: 204 })
  const taken = await runCli('test', hooks.url())
  assert.equal(taken.code, 0)
  assert.match(taken.stdout, /took it$/m)
  assert.equal(hooks.requests.at(-1)!.body.event_type, 'webhook.test')
})

test('secrets are added, listed by fingerprint and removed, of an endpoint and of a project', async (t) => {
  const hooks = await receiver(t)
  const [event] = await events(hooks.url(), 'delivered')
  assert.ok(!('webhook-signature' in hooks.requests[0]!.headers))
  const project = randomUUID()
  await db.query('insert into projects (id, name) values ($1, $1)', [project])
  for (const whose of [
    ['--endpoint', hooks.url()],
    ['--project', project],
  ]) {
    const added = await runCli('secrets', 'add', ...whose)
    assert.equal(added.code, 0, added.stderr)
    const secret = /^secret +(whsec_\S+)$/m.exec(added.stdout)![1]!
    const fingerprint = fingerprintOf(secret)
    assert.match(added.stderr, /not shown again/)
    const listed = await runCli('secrets', 'list', ...whose)
    assert.equal(listed.stdout, `fingerprint\n${fingerprint}\n`)
    const given = await runCli('secrets', 'add', ...whose, '--secret', newSecret(), '--json')
    assert.equal(given.code, 0, given.stderr)
    const third = await runCli('secrets', 'add', ...whose)
    assert.equal(third.code, 1)
    assert.match(third.stderr, /^refused \(409 Conflict\): there are two secrets already/)
    assert.equal((await runCli('secrets', 'remove', ...whose, '--fingerprint', fingerprint)).code, 0)
    assert.equal((await runCli('secrets', 'remove', ...whose, '--fingerprint', fingerprint)).code, 1)
    if (whose[0] === '--endpoint') {
      await runCli('replay', event!.event_id, '--yes')
      assert.match(String(hooks.requests.at(-1)!.headers['webhook-signature']), /^v1,\S+$/)
    }
    assert.equal((await runCli('secrets', 'remove', ...whose, '--all')).code, 0)
    assert.match((await runCli('secrets', 'list', ...whose)).stdout, /has no secrets/)
  }
  for (const args of [
    ['list'],
    ['sign', '--project', 'p'],
    ['constructor', '--project', 'p'],
    ['remove', '--project', 'p'],
  ]) {
    assert.equal((await runCli('secrets', ...args)).code, 2, args.join(' '))
  }
})

test('an endpoint that there is not is a 1', async () => {
  for (const name of ['pause', 'resume', 'test', 'endpoints']) {
    const { code, stderr } = await runCli(name, `http://127.0.0.1:9/${randomUUID()}`)
    assert.equal(code, 1, name)
    assert.match(stderr, /^refused \(404 Not Found\): there is no endpoint/)
  }
})

test('status shows the dispatchers and the stuck agents', async () => {
  const id = `agent-${randomUUID()}`
  await db.query(`insert into agents (id, agent_type) values ($1, 'coder')`, [id])
  // One that holds no task is not stuck.
  const [task] = await runningTasks(db, null)
  await db.query('update tasks set assigned_agent_id = $1 where id = $2', [id, task])
  await db.query(`insert into agent_stuck_episodes (agent_id, reason) values ($1, 'loops')`, [id])
  const { stdout } = await runCli('status')
  assert.match(stdout, /^webhook-outbox at http:\/\/127\.0\.0\.1:\d+ is ready$/m)
  assert.match(stdout, /^dispatchers +ok: 1 connected$/m)
  assert.match(stdout, new RegExp(`^${id} +coder +loops `, 'm'))
  const json = (await runCli('status', '--json')).json()
  assert.ok((json['stuck_agents'] as { id: string }[]).some((agent) => agent.id === id))
})

test('status says of events that died, and of endpoints that are owed nothing, how to look at them', async (t) => {
  const hooks = await receiver(t, { status: 404 })
  await events(hooks.url(), 'dead')
  const { stdout } = await runCli('status')
  assert.match(stdout, /^Dead, of what was written within a day: (more than )?\d+ events?$/m)
  assert.match(stdout, /see why +\S.* deliveries --state dead --from 24h$/m)
  assert.match(stdout, /1 failure in a row, the last: 404 Not Found; nothing is owed to it now$/m)
  assert.match(stdout, /deliveries --endpoint [\da-f-]{36} --state dead$/m)
})

test('a token is never printed: not where it is wrong, nor where it may only read', async () => {
  const env = { WEBHOOK_OUTBOX_URL: url }
  const wrong = await run(['deliveries', '--token', 'CANARY-wrong'], env)
  assert.equal(wrong.code, 1)
  assert.match(wrong.stderr, /^refused \(401 Unauthorized\)/)
  assert.match(wrong.stderr, /--token, or in WEBHOOK_OUTBOX_TOKEN/)
  assert.ok(!(wrong.stdout + wrong.stderr).includes('CANARY'))
  const none = await run(['deliveries'], env)
  assert.match(none.stderr, /^refused \(401 Unauthorized\)/)
  const reading = await run(['pause', 'http://127.0.0.1:9/x', '--token', 'reading'], env)
  assert.equal(reading.code, 1)
  assert.match(reading.stderr, /^refused \(403 Forbidden\): this token may only read/)
})
