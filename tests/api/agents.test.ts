import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createTestApi } from './support.ts'

const api = await createTestApi({ after })
const episodes = (id: string) =>
  api.database.query<{ reason: string; ended: boolean }>(
    'select reason, ended_at is not null as ended from agent_stuck_episodes where agent_id = $1 order by started_at',
    [id],
  )

test('a heartbeat is recorded now, also where a clock that was ahead has left a later one', async () => {
  await api.call('POST', '/api/v1/agents', { id: 'ahead' })
  await api.database.query(`update agents set last_heartbeat = now() + interval '1 day' where id = 'ahead'`)
  await api.database.query(
    `insert into agent_stuck_episodes (agent_id, reason) values ('ahead', 'no_heartbeat')`,
  )
  const answer = await api.call('POST', '/api/v1/agents/ahead/heartbeat')
  assert.equal(answer.status, 204)
  assert.equal(answer.text, '')
  const { body } = await api.call('GET', '/api/v1/agents/ahead')
  assert.ok(Math.abs(Date.parse(body.last_heartbeat) - Date.now()) < 60_000)
  assert.deepEqual(await episodes('ahead'), [{ reason: 'no_heartbeat', ended: true }])
})

test('a heartbeat ends an episode for want of one, and not that of an analysis', async () => {
  for (const [id, reason, ended] of [
    ['silent', 'no_heartbeat', true],
    ['looping', 'loop', false],
  ] as const) {
    await api.call('POST', '/api/v1/agents', { id })
    await api.database.query('insert into agent_stuck_episodes (agent_id, reason) values ($1, $2)', [
      id,
      reason,
    ])
    await api.call('POST', `/api/v1/agents/${id}/heartbeat`)
    assert.deepEqual(await episodes(id), [{ reason, ended }])
  }
})

test('an agent is reported stuck once: the episode is shown, captured, and a second report conflicts', async () => {
  await api.call('POST', '/api/v1/agents', { id: 'stuck' })
  await api.call('POST', '/api/v1/tickets', { id: 't', title: 'T', webhook_url: 'https://example.com/t' })
  const held = { title: 'K', ticket_id: 't', assigned_agent_id: 'stuck' }
  await api.call('POST', '/api/v1/tasks', { ...held, id: 'k1', status: 'running' })
  await api.call('POST', '/api/v1/tasks', { ...held, id: 'k2', status: 'assigned' })
  await api.call('POST', '/api/v1/tasks', { ...held, id: 'k3', status: 'pending' })
  assert.equal((await api.call('GET', '/api/v1/agents/stuck')).body.stuck, null)

  const reports = await Promise.all(
    Array.from({ length: 4 }, () =>
      api.call('POST', '/api/v1/agents/stuck/stuck', { reason: 'same output 9 times' }),
    ),
  )
  assert.deepEqual(reports.map((report) => report.status).sort(), [201, 409, 409, 409])
  const { body } = reports.find((report) => report.status === 201)!
  assert.deepEqual(Object.keys(body), ['agent_id', 'reason', 'started_at', 'ended_at'])
  assert.deepEqual([body.agent_id, body.reason, body.ended_at], ['stuck', 'same output 9 times', null])

  const agent = (await api.call('GET', '/api/v1/agents/stuck')).body
  assert.deepEqual(agent.stuck, { reason: 'same output 9 times', started_at: body.started_at })
  const events = await api.database.query(
    `select task_id from webhook_outbox where agent_id = 'stuck' order by 1`,
  )
  assert.deepEqual(events, [{ task_id: 'k1' }, { task_id: 'k2' }])

  await api.database.query(`update agent_stuck_episodes set ended_at = now() where agent_id = 'stuck'`)
  assert.equal((await api.call('POST', '/api/v1/agents/stuck/stuck', { reason: 'again' })).status, 201)
})

test('an unknown agent has neither heartbeats nor episodes', async () => {
  for (const id of ['nope', '%00', 'x'.repeat(3_000)]) {
    assert.equal((await api.call('POST', `/api/v1/agents/${id}/heartbeat`)).status, 404)
    assert.equal((await api.call('POST', `/api/v1/agents/${id}/stuck`, { reason: 'x' })).status, 404)
  }
  assert.deepEqual(await episodes('nope'), [])
})

test('agents are listed by whether they are stuck', async () => {
  const agent_type = 'of the list by stuck'
  for (const id of ['calm', 'in-a-loop', 'was-stuck'])
    await api.call('POST', '/api/v1/agents', { id, agent_type })
  await api.database.query(`
    insert into agent_stuck_episodes (agent_id, reason, ended_at)
    values ('in-a-loop', 'loop', null), ('was-stuck', 'loop', now())`)
  const list = async (stuck: string) => {
    const query = new URLSearchParams({ agent_type, stuck }).toString()
    return (await api.call('GET', `/api/v1/agents?${query}`)).body.items.map(({ id }) => id).sort()
  }
  assert.deepEqual(await list('true'), ['in-a-loop'])
  assert.deepEqual(await list('false'), ['calm', 'was-stuck'])
  assert.equal((await api.call('GET', '/api/v1/agents?stuck=yes')).status, 422)
})
