import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type FaultServer, startFaultServer } from './support/postgres.ts'
import { createWorld, type World } from './support/world.ts'

/** Rows that only SQL could have put there. */
let server: FaultServer

before(async () => {
  server = await startFaultServer()
})
after(() => server.close())

/** An event as an operator's or a host's SQL might write it; `columns` are SQL expressions. */
async function insert(world: World, task: string, columns: Record<string, string>): Promise<void> {
  const all: Record<string, string> = {
    event_type: `'task.completed'`,
    entity_type: `'task'`,
    entity_id: `'${task}'`,
    task_id: `'${task}'`,
    payload: `'{}'`,
    ...columns,
  }
  await world.query(
    `insert into webhook_outbox (${Object.keys(all).join()}) values (${Object.values(all).join()})`,
  )
  await world.log.append({ outcome: 'committed', tasks: [task] })
}

async function outcomes(world: World): Promise<Record<string, string>> {
  const rows = await world.query<{ task_id: string; outcome: string; last_error: string | null }>(
    `select task_id, outcome, last_error from webhook_history where task_id not like 'task-%'`,
  )
  return Object.fromEntries(rows.map((row) => [row.task_id, `${row.outcome}: ${row.last_error}`]))
}

test('rows whose URL is broken are set aside with the reason, while their neighbours flow', async (t) => {
  const world = await createWorld(t, server)
  const hooks = await world.receiver()
  const neighbours = world.producer(hooks)
  await neighbours.commitInBulk(20)
  const broken = {
    'no url': `'no url at all'`,
    empty: `''`,
    'other scheme': `'ftp://127.0.0.1/x'`,
    script: `'javascript:alert(1)'`,
    credentials: `'http://user:secret@127.0.0.1:9/'`,
    'no host': `'http://'`,
    'a port that is none': `'http://127.0.0.1:99999/'`,
    controls: `E'http://127.0.0.1:9/\\n\\x01'`,
  }
  for (const [task, url] of Object.entries(broken)) await insert(world, task, { url })
  await neighbours.commitInBulk(20)
  await world.dispatcher()
  await hooks.waitFor(40)
  await world.ledger()
  const dead = await outcomes(world)
  for (const task of Object.keys(broken)) assert.match(dead[task]!, /^dead: ./)
  assert.ok(!JSON.stringify(dead).includes('secret'))
})

test('rows whose state is broken are delivered or set aside, while their neighbours flow', async (t) => {
  const world = await createWorld(t, server)
  const hooks = await world.receiver()
  const neighbours = world.producer(hooks)
  await neighbours.commitInBulk(20)
  const url = `'${hooks.url()}'`
  const past = `now() - interval '1 s'`
  const odd: Record<string, Record<string, string>> = {
    'delivering without a lease': { state: `'delivering'` },
    'pending with a lease that is over': { lease_until: past },
    'a lease of nobody that is over': { state: `'delivering'`, attempts: '1', lease_until: past },
    'the last lease is over': { state: `'delivering'`, attempts: '2147483647', lease_until: past },
    'more attempts than an integer holds': { attempts: '2147483647' },
    'less than none': { attempts: '-2147483648', attempts_before: '2147483647' },
    'attempts before that never were': { attempts_before: '2147483647' },
    'a lease since ever': { state: `'delivering'`, attempts: '1', lease_until: `'-infinity'` },
    'due since ever': { next_attempt_at: `'-infinity'` },
    'made at no time': { created_at: `'infinity'` },
    'due never': { next_attempt_at: `'infinity'` },
  }
  for (const [task, columns] of Object.entries(odd)) await insert(world, task, { url, ...columns })
  await assert.rejects(insert(world, 'a state of its own', { url, state: `'broken'` }), { code: '23514' })
  const dispatcher = await world.dispatcher()
  await neighbours.commitInBulk(20)
  await hooks.waitFor(40)
  await world.query(`update webhook_outbox set next_attempt_at = now() where next_attempt_at = 'infinity'`)
  await world.ledger({ oddAttempts: Object.keys(odd), lostLeasesAtMost: 3 })
  const settled = await outcomes(world)
  assert.deepEqual(Object.keys(settled).sort(), Object.keys(odd).sort())
  assert.match(settled['the last lease is over']!, /^dead: the dispatcher died/)
  const failures = dispatcher.lines.filter((line) => /waits for Postgres|refused/.test(line.msg ?? ''))
  assert.deepEqual(failures, [])
})

test('a row that waits for ever holds nobody up, alone or not', async (t) => {
  const world = await createWorld(t, server)
  const hooks = await world.receiver()
  await insert(world, 'due never', { url: `'${hooks.url()}'`, next_attempt_at: `'infinity'` })
  const dispatcher = await world.dispatcher()
  await world.asleep()
  await world.producer(hooks).commit()
  await hooks.waitFor(1)
  await world.asleep()
  assert.ok(!dispatcher.lines.some((line) => /waits for Postgres/.test(line.msg ?? '')))
  await world.query(`update webhook_outbox set next_attempt_at = now() where next_attempt_at = 'infinity'`)
  await world.ledger()
})

test('payloads of every kind that json takes are sent as they are stored', async (t) => {
  const world = await createWorld(t, server)
  const hooks = await world.receiver()
  const payloads: Record<string, string> = {
    null: 'null',
    text: '"a \\u0000 text"',
    list: '[1, 2,   3]',
    'a lone surrogate': '{"a":"\\ud800"}',
    'the same key twice': '{"a":1,"a":2}',
    deep: `${'['.repeat(1_000)}${']'.repeat(1_000)}`,
    large: `{"a":"${'ä'.repeat(1_000_000)}"}`,
  }
  for (const [task, payload] of Object.entries(payloads)) {
    await insert(world, task, {
      url: `'${hooks.url(`/${encodeURIComponent(task)}`)}'`,
      payload: `'${payload}'`,
    })
  }
  await world.producer(hooks).commitInBulk(20)
  await world.dispatcher()
  await hooks.waitFor(20 + Object.keys(payloads).length)
  const sent = new Map(
    hooks.requests.map((request) => [decodeURIComponent(request.path.slice(1)), request.rawBody]),
  )
  for (const [task, payload] of Object.entries(payloads)) assert.equal(sent.get(task)?.toString(), payload)
  await world.ledger()
})
