import assert from 'node:assert/strict'
import test, { beforeEach } from 'node:test'
import { connect } from '../../src/database/connection.ts'
import { migrateToLatest } from '../../src/database/migrate.ts'
import { sweepStuckAgents } from '../../src/detection/stuck-sweep.ts'
import {
  captured,
  checkedBody,
  databaseOfFile,
  eventTypes,
  file,
  insert,
  runningTask,
} from '../capture/host.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase } from '../support/database.ts'

const db = await databaseOfFile()
const kysely = connect(db.url, { maxConnections: 2 })
onCleanup(file, () => kysely.destroy())

beforeEach(async () => {
  await db.query(`delete from agent_stuck_episodes; delete from tasks; delete from agents; delete from webhook_outbox;
    update webhook_stuck_sweep set started = true, swept_at = now(), judge_from = now()`)
})

const sweepOf = (target: typeof kysely) =>
  sweepStuckAgents(target, { stuckAfterMs: 90_000, awayAfterMs: 16_000 })
const sweep = () => sweepOf(kysely)

async function staleAgent(): Promise<{ agent: string; task: string }> {
  const agent = await insert(db, 'agents', { agent_type: 'a', last_heartbeat: '2026-01-01T00:00:00Z' })
  const task = await runningTask(db, { assigned_agent_id: agent, started_at: '2026-01-01T00:00:00Z' })
  return { agent, task }
}

const report = (agent: string, reason: string) =>
  db.query('insert into agent_stuck_episodes (agent_id, reason) values ($1, $2)', [agent, reason])

async function openReasons(agent: string): Promise<string[]> {
  const rows = await db.query<{ reason: string }>(
    'select reason from agent_stuck_episodes where agent_id = $1 and ended_at is null',
    [agent],
  )
  return rows.map((row) => row.reason)
}

const beats: [name: string, from: string | null, to: string | null, ends: boolean][] = [
  ['a later heartbeat', '2026-01-01', '2026-01-02', true],
  ['a heartbeat a microsecond later', '2026-01-01', '2026-01-01 00:00:00.000001', true],
  ['the first heartbeat ever', null, '2026-01-01', true],
  ['a heartbeat after an infinite one', 'infinity', '2026-01-01', true],
  ['a heartbeat after one of minus infinity', '-infinity', '2026-01-01', true],
  ['the same heartbeat again', '2026-01-01', '2026-01-01', false],
  ['a heartbeat that moves backwards', '2026-01-02', '2026-01-01', false],
  ['a heartbeat that is forgotten', '2026-01-01', null, false],
  ['a heartbeat that becomes infinite', '2026-01-01', 'infinity', false],
]

for (const [name, from, to, ends] of beats) {
  for (const [reason, byHeartbeat] of [
    ['no_heartbeat', true],
    ['looping', false],
  ] as const) {
    const ended = ends && byHeartbeat
    test(`${name} ${ended ? 'ends' : 'does not end'} an episode of ${reason}`, async () => {
      const agent = await insert(db, 'agents', { agent_type: 'a', last_heartbeat: from })
      await report(agent, reason)
      const other = await insert(db, 'agents', { agent_type: 'a' })
      await report(other, 'no_heartbeat')
      await db.query('update agents set last_heartbeat = $1 where id = $2', [to, agent])
      assert.deepEqual(await openReasons(agent), ended ? [] : [reason])
      assert.deepEqual(await openReasons(other), ['no_heartbeat'])
    })
  }
}

test('a heartbeat that is rolled back ends nothing', async () => {
  const { agent } = await staleAgent()
  await sweep()
  await db.query(`begin; update agents set last_heartbeat = now() where id = '${agent}'; rollback`)
  assert.deepEqual(await openReasons(agent), ['no_heartbeat'])
})

test('a new lapse after a heartbeat is a new episode with new events', async () => {
  const { agent, task } = await staleAgent()
  for (let lapse = 1; lapse <= 3; lapse++) {
    assert.deepEqual(await sweep(), [agent])
    assert.deepEqual(await sweep(), [])
    assert.equal((await captured(db, task)).length, lapse)
    await db.query(`update agents set last_heartbeat = now() where id = $1`, [agent])
    assert.deepEqual(await openReasons(agent), [])
    assert.deepEqual(await sweep(), [])
    await db.query(`update agents set last_heartbeat = now() - interval '91 seconds' where id = $1`, [agent])
  }
  assert.deepEqual(await eventTypes(db, task), Array(3).fill('agent.stuck'))
})

test('a task that is assigned to an agent that is stuck already is no new event', async () => {
  const { agent } = await staleAgent()
  await sweep()
  const later = await runningTask(db, { assigned_agent_id: agent })
  assert.deepEqual(await sweep(), [])
  assert.deepEqual(await captured(db, later), [])
})

test('an insert by an analysis captures one event for each task that the agent holds', async () => {
  const { agent, task } = await staleAgent()
  const second = await runningTask(db, { assigned_agent_id: agent, status: 'assigned' })
  const done = await runningTask(db, { assigned_agent_id: agent, status: 'completed' })
  await report(agent, 'repeats itself')
  for (const held of [task, second]) {
    const events = await captured(db, held)
    assert.equal(events.length, 1)
    assert.equal(checkedBody(events[0]!.payload).data['stuck_reason'], 'repeats itself')
  }
  assert.deepEqual(await captured(db, done), [])
})

const reasons: [reason: string, sent: string][] = [
  ['', ''],
  ['"quoted" \\ \n 😀', '"quoted" \\ \n 😀'],
  ['x'.repeat(4_000), 'x'.repeat(4_000)],
  ['😀'.repeat(4_001), '😀'.repeat(3_988) + '…[truncated]'],
]

for (const [reason, sent] of reasons) {
  test(`a reason of ${[...reason].length} characters such as ${JSON.stringify(reason.slice(0, 14))} arrives`, async () => {
    const { agent, task } = await staleAgent()
    await report(agent, reason)
    assert.equal(checkedBody((await captured(db, task))[0]!.payload).data['stuck_reason'], sent)
  })
}

test('an episode whose reason is not given has one', async () => {
  const { agent, task } = await staleAgent()
  await db.query('insert into agent_stuck_episodes (agent_id) values ($1)', [agent])
  assert.equal(checkedBody((await captured(db, task))[0]!.payload).data['stuck_reason'], 'unspecified')
})

test('an analysis may report an agent that the agents table does not know', async () => {
  const task = await runningTask(db, { assigned_agent_id: 'unlisted' })
  await report('unlisted', 'lost')
  const body = checkedBody((await captured(db, task))[0]!.payload)
  assert.deepEqual(
    [body.agent_id, body.data],
    ['unlisted', { last_heartbeat: null, stuck_reason: 'lost', seconds_since_heartbeat: null }],
  )
})

test('an episode that is inserted as ended, and an end that is set, capture nothing', async () => {
  const { agent, task } = await staleAgent()
  await db.query('insert into agent_stuck_episodes (agent_id, ended_at) values ($1, now())', [agent])
  assert.deepEqual(await captured(db, task), [])
  await report(agent, 'looping')
  await db.query('update agent_stuck_episodes set ended_at = now() where ended_at is null')
  assert.equal((await captured(db, task)).length, 1)
})

test('a second open episode of an agent is refused by the unique index, an ended one is none', async () => {
  const { agent } = await staleAgent()
  await report(agent, 'looping')
  await assert.rejects(report(agent, 'looping'), {
    code: '23505',
    constraint: 'agent_stuck_episodes_open_key',
  })
  await assert.rejects(report(agent, 'no_heartbeat'), { code: '23505' })
  await db.query('update agent_stuck_episodes set ended_at = now()')
  await report(agent, 'looping')
})

test('eight analyses at once open one episode, with one event', async () => {
  const { agent, task } = await staleAgent()
  const outcomes = await Promise.allSettled(
    Array.from({ length: 8 }, (_, i) => report(agent, `analysis ${i}`)),
  )
  assert.equal(outcomes.filter((outcome) => outcome.status === 'fulfilled').length, 1)
  assert.equal((await captured(db, task)).length, 1)
})

test('an agent that an analysis reported is not found by the sweep again', async () => {
  const { agent, task } = await staleAgent()
  await report(agent, 'looping')
  assert.deepEqual(await sweep(), [])
  assert.equal((await captured(db, task)).length, 1)
})

for (const reason of ['looping', 'no_heartbeat']) {
  for (const end of [
    `update tasks set status = 'completed'`,
    `update tasks set assigned_agent_id = null`,
    `update tasks set assigned_agent_id = 'another'`,
    'delete from tasks',
  ]) {
    test(`an episode of ${reason} ends with the agent's tasks: ${end}`, async () => {
      const { agent } = await staleAgent()
      await report(agent, reason)
      await sweep()
      assert.deepEqual(await openReasons(agent), [reason])
      await db.query(end)
      await sweep()
      assert.deepEqual(await openReasons(agent), [])
    })
  }
}

test('what is assigned to an agent after its episode ended with its tasks starts anew', async () => {
  const { agent, task } = await staleAgent()
  await sweep()
  await db.query(`update tasks set status = 'failed' where id = $1`, [task])
  await sweep()
  const next = await runningTask(db, { assigned_agent_id: agent, started_at: new Date() })
  assert.deepEqual(await sweep(), [])
  await db.query(`update tasks set started_at = now() - interval '91 seconds' where id = $1`, [next])
  assert.deepEqual(await sweep(), [agent])
  assert.deepEqual(await eventTypes(db, next), ['agent.stuck'])
})

test('agents that are stale when the service is installed are on record, and send nothing', async (t) => {
  const old = await createTestDatabase({ migrated: false })
  onCleanup(t, () => old.drop())
  await old.query(`
    create table tickets (id text primary key, webhook_url text);
    create table tasks (id text primary key, ticket_id text, status text, assigned_agent_id text, started_at timestamptz,
      created_at timestamp, updated_at timestamptz);
    create table agents (id text primary key, status text, last_heartbeat timestamptz);
    insert into tickets values ('k', 'http://x.example/');
    insert into agents values
      ('stale', 'running', now() - interval '1 hour'), ('never', null, null), ('unknown', 'running', null),
      ('infinite', 'running', 'infinity'), ('fresh', 'running', now()), ('terminated', 'terminated', null), ('free', 'idle', null);
    insert into tasks values
      ('t-stale', 'k', 'running', 'stale', now() - interval '2 hours', null, null),
      ('t-stale-2', 'k', 'assigned', 'stale', null, null, null),
      ('t-never', 'k', 'running', 'never', now() - interval '2 hours', null, null),
      ('t-unknown', 'k', 'assigned', 'unknown', null, '2026-01-01', 'infinity'),
      ('t-infinite', 'k', 'running', 'infinite', '-infinity', '2026-01-01', null),
      ('t-fresh', 'k', 'running', 'fresh', now() - interval '2 hours', null, null),
      ('t-terminated', 'k', 'running', 'terminated', now() - interval '2 hours', null, null)`)
  await migrateToLatest(old.url)
  const recorded = async () =>
    (
      await old.query<{ agent_id: string }>(
        `select agent_id from agent_stuck_episodes where ended_at is null and reason = 'no_heartbeat' order by 1`,
      )
    ).map((row) => row.agent_id)
  assert.deepEqual(await recorded(), ['infinite', 'never', 'stale', 'unknown'])

  const service = connect(old.url, { maxConnections: 1 })
  onCleanup(t, () => service.destroy())
  assert.deepEqual(await sweepOf(service), [])
  assert.deepEqual(await old.query('select * from webhook_outbox'), [])

  // Their next lapse is news.
  await old.query(`update agents set last_heartbeat = now() where id = 'stale'`)
  assert.deepEqual(await recorded(), ['infinite', 'never', 'unknown'])
  await old.query(`update agents set last_heartbeat = now() - interval '91 seconds' where id = 'stale'`)
  assert.deepEqual(await sweepOf(service), ['stale'])
  assert.equal((await old.query('select * from webhook_outbox')).length, 2)
})

test('a sweep does not wait for a heartbeat that has not committed, and the next heartbeat ends what it opened', async () => {
  const { agent, task } = await staleAgent()
  const session = await db.pool.connect()
  try {
    await session.query('begin')
    await session.query('update agents set last_heartbeat = now() where id = $1', [agent])
    assert.deepEqual(await sweep(), [agent])
    await session.query('commit')
  } finally {
    session.release()
  }
  await db.query('update agents set last_heartbeat = clock_timestamp() where id = $1', [agent])
  assert.deepEqual(await openReasons(agent), [])
  assert.deepEqual(await sweep(), [])
  assert.equal((await captured(db, task)).length, 1)
})
