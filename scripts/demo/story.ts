import { setTimeout as sleep } from 'node:timers/promises'
import type { KyInstance } from 'ky'
import type pg from 'pg'
import { freePort } from '../../src/database/cluster/free-port.ts'
import type { Monitor } from './monitor.ts'
import { type Row, say, table } from './output.ts'

export interface Stage {
  api: KyInstance
  db: pg.Client
  monitor: Monitor
}

const backlog = 'select endpoint, due, waiting, delivering, last_error from webhook_backlog'

/** Tells the steps in order; each throws with its reason where it did not happen. */
export async function tellStory(stage: Stage): Promise<void> {
  await setUp(stage)
  await startTheDeadOne(stage)
  await completeOverTheApi(stage)
  await failWithSql(stage)
  await ticketWins(stage)
  await rollBack(stage)
  await answer503Twice(stage)
  await showBacklog(stage)
  await lapse(stage)
  await endDead(stage)
}

async function setUp({ api, db, monitor }: Stage): Promise<void> {
  say('\nA project and its tickets, over the API; the webhook URLs by PATCH')
  await api.post('projects', { json: { id: 'project-1', name: 'Apollo' } })
  await api.patch('projects/project-1', { json: { webhook_url: monitor.url('/project') } })
  for (const [id, webhook_url] of [
    ['ticket-1', null],
    ['ticket-2', monitor.url('/ticket')],
    ['ticket-flaky', monitor.url('/flaky')],
    ['ticket-down', `http://127.0.0.1:${await freePort()}/down`],
  ] as const) {
    await api.post('tickets', { json: { id, title: id, project_id: 'project-1' } })
    if (webhook_url !== null) await api.patch(`tickets/${id}`, { json: { webhook_url } })
  }
  await api.post('agents', { json: { id: 'agent-1', agent_type: 'coder', status: 'busy' } })
  await api.post('agents/agent-1/heartbeat')
  say('  PATCH /api/v1/projects/project-1 {"webhook_url": "…/project"}')
  say('  PATCH /api/v1/tickets/ticket-2   {"webhook_url": "…/ticket"}, and two more')
  for (const [id, ticket_id] of [
    ['task-api', 'ticket-1'],
    ['task-sql', 'ticket-1'],
    ['task-override', 'ticket-2'],
    ['task-rollback', 'ticket-1'],
    ['task-flaky', 'ticket-flaky'],
    ['task-down', 'ticket-down'],
  ] as const) {
    await api.post('tasks', {
      json: { id, ticket_id, title: id, status: 'running' },
    })
  }
  const tasks = await db.query('select from tasks')
  if (tasks.rowCount !== 6) throw new Error(`expected 6 tasks, found ${tasks.rowCount}`)
}

async function startTheDeadOne({ db }: Stage): Promise<void> {
  say('\nA task completes whose receiver is down; its retries go on while the story does')
  await db.query(`update tasks set status = 'completed', completed_at = now() where id = 'task-down'`)
}

async function completeOverTheApi({ api, monitor }: Stage): Promise<void> {
  say('\nA task completes over the API')
  const result = { result: 'success', output_summary: 'Implemented feature X' }
  await api.patch('tasks/task-api', { json: { status: 'completed', result } })
  await monitor.received('/project', 'task-api', 5_000)
}

async function failWithSql({ db, monitor }: Stage): Promise<void> {
  say('\nA task fails by plain SQL, as another backend would do it')
  await db.query(
    `update tasks set status = 'failed', error_message = 'compiler crashed' where id = 'task-sql'`,
  )
  await monitor.received('/project', 'task-sql', 5_000)
}

async function ticketWins({ api, monitor }: Stage): Promise<void> {
  say(`\nA ticket's URL wins over its project's`)
  await api.patch('tasks/task-override', { json: { status: 'completed' } })
  await monitor.received('/ticket', 'task-override', 5_000)
}

async function rollBack({ db, monitor }: Stage): Promise<void> {
  say('\nA transaction completes a task and rolls back: nothing is sent')
  await db.query('begin')
  await db.query(`update tasks set status = 'completed' where id = 'task-rollback'`)
  await db.query('rollback')
  const { rows } = await db.query(`select from webhook_events where task_id = 'task-rollback'`)
  if (rows.length > 0) throw new Error('the rolled-back change left an event')
  await sleep(500)
  if (monitor.has('task-rollback')) throw new Error('the rolled-back change was sent')
  say('  nothing in the outbox, nothing arrived')
}

async function answer503Twice({ api, monitor }: Stage): Promise<void> {
  say('\nA receiver answers 503 twice, and then gets its retry (after 1 s and 2 s)')
  monitor.failNext('/flaky', 2)
  await api.patch('tasks/task-flaky', { json: { status: 'completed' } })
  const webhook = await monitor.received('/flaky', 'task-flaky', 8_000)
  if (webhook.attempt !== 3)
    throw new Error(`it was accepted at attempt ${webhook.attempt}, and not at the third`)
}

async function lapse({ api, db, monitor }: Stage): Promise<void> {
  say(`\nAn agent's heartbeat lapses (2 s here, 90 s by default)`)
  await api.post('agents/agent-1/heartbeat')
  await api.post('tasks', {
    json: {
      id: 'task-held',
      ticket_id: 'ticket-1',
      title: 'held',
      status: 'running',
      assigned_agent_id: 'agent-1',
    },
  })
  await monitor.received('/project', 'task-held', 10_000)
  await api.post('agents/agent-1/heartbeat')
  const { rows } = await db.query(
    `select from agent_stuck_episodes where agent_id = 'agent-1' and ended_at is not null`,
  )
  if (rows.length !== 1) throw new Error('the heartbeat did not end the episode')
  say('  a heartbeat ends the episode')
}

async function showBacklog({ db }: Stage): Promise<void> {
  say(`\nWhat is owed at this moment: select * from webhook_backlog`)
  const { rows } = await db.query<Row>(backlog)
  table(rows)
  if (!rows.some((row) => String(row.endpoint).endsWith('/down'))) {
    throw new Error('the endpoint that is down is not in the backlog')
  }
}

async function endDead({ db }: Stage): Promise<void> {
  const deadline = Date.now() + 15_000
  const dead = `select task_id, attempts, last_error from webhook_dead_letters`
  for (;;) {
    const { rows } = await db.query<Row>(dead)
    if (rows.length === 1) break
    if (Date.now() > deadline) throw new Error('the event of the receiver that is down did not end as dead')
    await sleep(100)
  }
  say('\nThe receiver that is down: three retries, then dead: select * from webhook_dead_letters')
  table((await db.query<Row>(dead)).rows)
  const attempts = await db.query<Row>(
    `select attempt, to_char(started_at - min(started_at) over (), 'SS.MS') as seconds_later, error
     from webhook_attempts a join webhook_dead_letters using (event_id) order by attempt`,
  )
  say('')
  table(attempts.rows)
  if (attempts.rows.length !== 4)
    throw new Error(`it has ${attempts.rows.length} attempts on record, and not 4`)
  say('\nNothing is owed any more: select * from webhook_backlog')
  const { rows } = await db.query<Row>(backlog)
  table(rows)
  if (rows.length > 0) throw new Error('something is still owed')
}
