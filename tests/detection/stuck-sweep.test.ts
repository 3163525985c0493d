import assert from 'node:assert/strict'
import test, { beforeEach } from 'node:test'
import { connect } from '../../src/database/connection.ts'
import { sweepStuckAgents } from '../../src/detection/stuck-sweep.ts'
import { captured, checkedBody, databaseOfFile, file, insert, runningTask } from '../capture/host.ts'
import { onCleanup } from '../support/cleanup.ts'

const db = await databaseOfFile()
const kysely = connect(db.url, { maxConnections: 8 })
onCleanup(file, () => kysely.destroy())
await db.query(
  'alter table tasks alter column created_at drop not null, alter column updated_at drop not null',
)
await db.query('alter table agents alter column created_at drop not null, alter column status drop not null')

const stuckAfterMs = 90_000
const awayAfterMs = 16_000

beforeEach(async () => {
  await db.query(`delete from agent_stuck_episodes; delete from tasks; delete from agents; delete from webhook_outbox;
    update webhook_stuck_sweep set started = true, swept_at = now(), judge_from = now()`)
})

const sweep = () => sweepStuckAgents(kysely, { stuckAfterMs, awayAfterMs })

/** SQL for a time: seconds ago, SQL text, or NULL. */
const ago = (seconds: number) => `now() - interval '${seconds} seconds'`
type Time = number | 'infinity' | '-infinity' | null
const timeSql = (time: Time) => (typeof time === 'number' ? ago(time) : time === null ? 'null' : `'${time}'`)

interface Held {
  heartbeat: Time
  started: Time
  /** When the task and the agent were made and touched; default: long ago. */
  touched?: Time
  agentStatus?: string | null
  taskStatus?: string
}

/** An agent that holds one task; returns both ids. */
async function agentWith(held: Held): Promise<{ agent: string; task: string }> {
  const { heartbeat, started, touched = 86_400, agentStatus = 'running', taskStatus = 'running' } = held
  const agent = await insert(db, 'agents', { agent_type: 'a', status: agentStatus })
  const task = await runningTask(db, { assigned_agent_id: agent, status: taskStatus })
  await db.query(
    `update agents set last_heartbeat = ${timeSql(heartbeat)}, created_at = ${timeSql(touched)} where id = $1`,
    [agent],
  )
  await db.query(
    `update tasks set started_at = ${timeSql(started)}, created_at = ${timeSql(touched)}, updated_at = ${timeSql(touched)} where id = $1`,
    [task],
  )
  return { agent, task }
}

const episodes = (agent: string) =>
  db.query<{ reason: string; ended: boolean }>(
    'select reason, ended_at is not null as ended from agent_stuck_episodes where agent_id = $1 order by started_at',
    [agent],
  )

test('a task that is only assigned gives its agent time from when it was last touched', async () => {
  const idle = { heartbeat: 600, started: null } as const
  const { agent } = await agentWith({ ...idle, touched: 5, taskStatus: 'assigned' })
  const { agent: late } = await agentWith({ ...idle, touched: 91, taskStatus: 'assigned' })
  assert.deepEqual(await sweep(), [late])
  assert.deepEqual(await episodes(agent), [])
})

test('a sweep waits for no transaction of the host, and finds every other agent', async () => {
  // Two whose episodes are to end, one of them locked by a heartbeat that is not committed yet.
  const ending = [
    await agentWith({ heartbeat: 600, started: 600 }),
    await agentWith({ heartbeat: 600, started: 600 }),
  ]
  await sweep()
  await db.query(`update tasks set status = 'cancelled' where id = any($1)`, [ending.map(({ task }) => task)])
  const reported = await agentWith({ heartbeat: 600, started: 600 })
  const lapsed = await agentWith({ heartbeat: 600, started: 600 })
  const host = await db.pool.connect()
  try {
    await host.query('begin')
    await host.query('update agents set last_heartbeat = now() where id = $1', [ending[1]!.agent])
    await host.query(`insert into agent_stuck_episodes (agent_id, reason) values ($1, 'loops')`, [
      reported.agent,
    ])
    assert.deepEqual(await sweep(), [lapsed.agent])
    assert.deepEqual(await episodes(ending[0]!.agent), [{ reason: 'no_heartbeat', ended: true }])
    // Had the sweep waited with what it has locked, this would be a deadlock.
    await host.query('update agents set last_heartbeat = now() where id = $1', [ending[0]!.agent])
    await host.query('commit')
  } finally {
    host.release()
  }
  assert.deepEqual(await episodes(ending[1]!.agent), [{ reason: 'no_heartbeat', ended: true }])
  assert.deepEqual(await episodes(reported.agent), [{ reason: 'loops', ended: false }])
})

const boundaries: [name: string, held: Held, stuck: boolean][] = [
  ['89 s without a heartbeat', { heartbeat: 89, started: 1_000 }, false],
  ['91 s without a heartbeat', { heartbeat: 91, started: 1_000 }, true],
  ['a week without a heartbeat', { heartbeat: 604_800, started: 1_000_000 }, true],
  ['a heartbeat long ago, a task started 89 s ago', { heartbeat: 1_000, started: 89 }, false],
  ['a heartbeat long ago, a task started 91 s ago', { heartbeat: 1_000, started: 91 }, true],
  ['a heartbeat just now, a task started long ago', { heartbeat: 0, started: 1_000_000 }, false],
  ['a heartbeat in the future', { heartbeat: -1_000, started: 1_000 }, false],
  ['a task that starts in the future', { heartbeat: 1_000, started: -1_000 }, false],
  ['no heartbeat ever, a task started 89 s ago', { heartbeat: null, started: 89 }, false],
  ['no heartbeat ever, a task started 91 s ago', { heartbeat: null, started: 91 }, true],
  ['an old heartbeat and no start', { heartbeat: 91, started: null, touched: 0 }, true],
  ['a fresh heartbeat and no start', { heartbeat: 89, started: null }, false],
  ['neither, touched 89 s ago', { heartbeat: null, started: null, touched: 89 }, false],
  ['neither, touched 91 s ago', { heartbeat: null, started: null, touched: 91 }, true],
  ['nothing known at all', { heartbeat: null, started: null, touched: null }, false],
  [
    'infinite times that say nothing',
    { heartbeat: 'infinity', started: '-infinity', touched: 'infinity' },
    false,
  ],
  [
    'infinite times of the past',
    { heartbeat: '-infinity', started: '-infinity', touched: '-infinity' },
    false,
  ],
  ['an infinite heartbeat, a task started 91 s ago', { heartbeat: 'infinity', started: 91 }, true],
  ['an infinite heartbeat, a task started 89 s ago', { heartbeat: '-infinity', started: 89 }, false],
  ['an old heartbeat, an infinite start', { heartbeat: 91, started: 'infinity' }, true],
  ['infinite times, touched 91 s ago', { heartbeat: 'infinity', started: 'infinity', touched: 91 }, true],
]

for (const [name, held, stuck] of boundaries) {
  test(`${name}: ${stuck ? 'stuck' : 'not stuck'}`, async () => {
    const { agent, task } = await agentWith(held)
    assert.deepEqual(await sweep(), stuck ? [agent] : [])
    assert.equal((await captured(db, task)).length, stuck ? 1 : 0)
  })
}

const holders: [agentStatus: string | null, taskStatus: string, stuck: boolean][] = [
  ['running', 'running', true],
  ['running', 'assigned', true],
  ['idle', 'running', true],
  [null, 'running', true],
  ['anything', 'running', true],
  ['terminated', 'running', false],
  ['failed', 'running', false],
  ['running', 'pending', false],
  ['running', 'completed', false],
  ['running', 'failed', false],
  ['running', 'cancelled', false],
]

for (const [agentStatus, taskStatus, stuck] of holders) {
  test(`a stale agent that is ${agentStatus} and whose task is ${taskStatus} is ${stuck ? 'stuck' : 'not stuck'}`, async () => {
    const { agent } = await agentWith({ heartbeat: 1_000, started: 1_000, agentStatus, taskStatus })
    assert.deepEqual(await sweep(), stuck ? [agent] : [])
  })
}

test('the event says since when, and why', async () => {
  const { agent, task } = await agentWith({ heartbeat: 125, started: 1_000 })
  const [known] = await db.query<{ at: string }>(
    `select to_char(last_heartbeat at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at from agents where id = $1`,
    [agent],
  )
  await sweep()
  const { payload, ...row } = (await captured(db, task))[0]!
  const body = checkedBody(payload)
  assert.deepEqual(
    [body.event_type, body.entity_type, body.entity_id, body.agent_id, body.task_id, row.entity_id],
    ['agent.stuck', 'agent', agent, agent, task, agent],
  )
  assert.equal(body.data['last_heartbeat'], known!.at)
  assert.equal(body.data['stuck_reason'], 'no_heartbeat')
  const seconds = Number(body.data['seconds_since_heartbeat'])
  assert.ok(seconds >= 125 && seconds < 185, String(seconds))
})

const heartbeats: [heartbeat: string | null, sent: string | null, known: boolean][] = [
  [null, null, false],
  ['infinity', null, false],
  ['-infinity', null, false],
  ['4713-01-01 00:00:00+00 BC', null, false],
  ['0001-01-01 00:00:00+00', '0001-01-01T00:00:00.000Z', true],
  ['9999-12-31 23:59:59.999999+00', '9999-12-31T23:59:59.999Z', true],
  ['10000-01-01 00:00:00+00', null, false],
  ['2026-01-01 00:00:00.0019+00', '2026-01-01T00:00:00.001Z', true],
]

for (const [heartbeat, sent, known] of heartbeats) {
  test(`a last heartbeat of ${heartbeat} is sent as ${sent}`, async () => {
    const { agent, task } = await agentWith({ heartbeat: null, started: 91 })
    await db.query('update agents set last_heartbeat = $1 where id = $2', [heartbeat, agent])
    await db.query('insert into agent_stuck_episodes (agent_id) values ($1)', [agent])
    const body = checkedBody((await captured(db, task))[0]!.payload)
    assert.equal(body.data['last_heartbeat'], sent)
    assert.equal(body.data['seconds_since_heartbeat'] !== null, known)
  })
}

test('an agent that holds several tasks is one episode and an event for each, to the URL of each', async () => {
  const { agent } = await agentWith({ heartbeat: 1_000, started: 1_000 })
  const project = await insert(db, 'projects', { name: 'p', webhook_url: 'http://project.example/' })
  const tickets = {
    'http://own.example/': await insert(db, 'tickets', {
      title: 't',
      project_id: project,
      webhook_url: 'http://own.example/',
    }),
    'http://project.example/': await insert(db, 'tickets', { title: 't', project_id: project }),
    none: await insert(db, 'tickets', { title: 't' }),
  }
  const held: string[] = []
  for (const ticket_id of Object.values(tickets)) {
    held.push(await runningTask(db, { ticket_id, assigned_agent_id: agent, started_at: new Date() }))
    await runningTask(db, { ticket_id, assigned_agent_id: agent, status: 'completed' })
    await runningTask(db, { ticket_id, assigned_agent_id: 'another' })
  }
  await runningTask(db, { ticket_id: null, assigned_agent_id: agent })
  assert.deepEqual(await sweep(), [agent])
  const events = await db.query<{ url: string; task_id: string; payload: string }>(
    'select url, task_id, payload::text from webhook_outbox where agent_id = $1 and task_id = any($2) order by id',
    [agent, held],
  )
  assert.deepEqual(
    events.map((event) => [event.task_id, event.url]).toSorted(),
    [
      [held[0], 'http://own.example/'],
      [held[1], 'http://project.example/'],
    ].toSorted(),
  )
  for (const event of events) assert.equal(checkedBody(event.payload).task_id, event.task_id)
  assert.equal((await episodes(agent)).length, 1)
})

test('an agent that is stuck is found once, however often one looks', async () => {
  const { agent, task } = await agentWith({ heartbeat: 1_000, started: 1_000 })
  assert.deepEqual(await sweep(), [agent])
  for (let turn = 0; turn < 3; turn++) assert.deepEqual(await sweep(), [])
  assert.equal((await captured(db, task)).length, 1)
  assert.deepEqual(await episodes(agent), [{ reason: 'no_heartbeat', ended: false }])
})

test('eight sweeps at once find each agent once', async () => {
  const held = await Promise.all(
    Array.from({ length: 20 }, () => agentWith({ heartbeat: 1_000, started: 1_000 })),
  )
  const found = await Promise.all(Array.from({ length: 8 }, sweep))
  assert.deepEqual(
    found.flatMap((agents) => agents ?? []).toSorted(),
    held.map(({ agent }) => agent).toSorted(),
  )
  for (const { agent, task } of held) {
    assert.equal((await captured(db, task)).length, 1)
    assert.equal((await episodes(agent)).length, 1)
  }
})

test('a sweep whose turn another one has finds nothing to do, and does not wait', async () => {
  await agentWith({ heartbeat: 1_000, started: 1_000 })
  const session = await db.pool.connect()
  try {
    await session.query('begin; select * from webhook_stuck_sweep for update')
    assert.equal(await sweep(), null)
    await session.query('rollback')
  } finally {
    session.release()
  }
  assert.equal((await sweep())!.length, 1)
})

const absences: [name: string, row: string, judges: boolean][] = [
  ['15 s ago', `started = true, swept_at = ${ago(15)}`, true],
  ['17 s ago', `started = true, swept_at = ${ago(17)}`, false],
  ['a day ago', `started = true, swept_at = ${ago(86_400)}`, false],
  ['never, after an installation a day ago', `started = false, swept_at = ${ago(86_400)}`, true],
]

for (const [name, row, judges] of absences) {
  test(`where the last sweep was ${name}, stale agents are ${judges ? 'judged' : 'given 90 s first'}`, async () => {
    const { agent } = await agentWith({ heartbeat: 1_000, started: 1_000 })
    await db.query(`update webhook_stuck_sweep set judge_from = ${ago(86_400)}, ${row}`)
    assert.deepEqual(await sweep(), judges ? [agent] : [])
    if (judges) return
    // And go on to have them while sweeps follow each other.
    assert.deepEqual(await sweep(), [])
    const [state] = await db.query<{ wait: number }>(
      `select extract(epoch from judge_from - now())::float8 as wait from webhook_stuck_sweep`,
    )
    assert.ok(state!.wait > 60 && state!.wait <= 90, String(state!.wait))
    await db.query('update webhook_stuck_sweep set judge_from = now()')
    assert.deepEqual(await sweep(), [agent])
  })
}

test('an absence does not keep episodes from ending', async () => {
  const { agent, task } = await agentWith({ heartbeat: 1_000, started: 1_000 })
  await sweep()
  await db.query(`update tasks set status = 'completed' where id = $1`, [task])
  await db.query(`update webhook_stuck_sweep set swept_at = ${ago(1_000)}`)
  assert.deepEqual(await sweep(), [])
  assert.deepEqual(await episodes(agent), [{ reason: 'no_heartbeat', ended: true }])
})
