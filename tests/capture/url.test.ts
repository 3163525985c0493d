import assert from 'node:assert/strict'
import test from 'node:test'
import {
  captured,
  databaseOfFile,
  insert,
  onlyEvent,
  projectUrl,
  runningTask,
  setStatus,
  ticketUrl,
} from './host.ts'

const db = await databaseOfFile()

const long = `http://x.example/${'é'.repeat(2_031)}`
const precedence: [ticket: string | null, project: string | null, sentTo: string | null][] = [
  [ticketUrl, projectUrl, ticketUrl],
  [ticketUrl, null, ticketUrl],
  [ticketUrl, '', ticketUrl],
  [null, projectUrl, projectUrl],
  ['', projectUrl, projectUrl],
  [null, null, null],
  ['', '', null],
  ['', null, null],
  [null, '', null],
  ['no URL', projectUrl, 'no URL'],
  [' ', projectUrl, ' '],
  ['javascript:alert(1)', null, 'javascript:alert(1)'],
  [null, 'no URL', 'no URL'],
  [long, projectUrl, long],
  [null, long, long],
]

for (const [ticket, project, sentTo] of precedence) {
  const shown = [ticket, project, sentTo].map((url) => (url === null ? 'none' : `"${url.slice(0, 30)}"`))
  for (const status of ['completed', 'failed']) {
    test(`ticket ${shown[0]} and project ${shown[1]}: ${status} goes to ${shown[2]}`, async () => {
      const project_id = await insert(db, 'projects', { name: 'a project', webhook_url: project })
      const ticket_id = await insert(db, 'tickets', { title: 'a ticket', project_id, webhook_url: ticket })
      const task = await runningTask(db, { ticket_id })
      await setStatus(db, task, status)
      if (sentTo === null) {
        assert.deepEqual(await captured(db, task), [])
        return
      }
      const { row, body } = await onlyEvent(db, task)
      assert.equal(row.url, sentTo)
      assert.deepEqual(
        [body.event_type, body.entity_id, body.project_id, body.ticket_id, body.task_id],
        [`task.${status}`, task, project_id, ticket_id, task],
      )
    })
  }
}

test('a ticket without a project is served by its own URL', async () => {
  const task = await runningTask(db)
  await setStatus(db, task, 'completed')
  const { row, body } = await onlyEvent(db, task)
  assert.equal(row.url, ticketUrl)
  assert.equal(body.project_id, null)
})

test('a ticket whose project_id refers to nothing is served by its own URL, and names that project', async () => {
  const ticket_id = await insert(db, 'tickets', { title: 't', project_id: 'gone', webhook_url: ticketUrl })
  const task = await runningTask(db, { ticket_id })
  await setStatus(db, task, 'completed')
  assert.equal((await onlyEvent(db, task)).body.project_id, 'gone')
})

const unserved: [name: string, ticketId: () => Promise<string | null>][] = [
  ['without a ticket', () => Promise.resolve(null)],
  ['whose ticket_id refers to nothing', () => Promise.resolve('no-such-ticket')],
  ['whose ticket has neither a project nor a URL', () => insert(db, 'tickets', { title: 't' })],
  [
    "whose ticket's project_id refers to nothing",
    () => insert(db, 'tickets', { title: 't', project_id: 'no-such-project' }),
  ],
]

for (const [name, ticketId] of unserved) {
  test(`a task ${name} completes and captures nothing`, async () => {
    const task = await runningTask(db, { ticket_id: await ticketId() })
    await setStatus(db, task, 'completed')
    await setStatus(db, task, 'failed')
    assert.deepEqual(await captured(db, task), [])
  })
}

test('the URL is the one that applies when the change is made, also where it was set in the same transaction', async () => {
  const ticket_id = await insert(db, 'tickets', { title: 't' })
  const task = await runningTask(db, { ticket_id })
  await db.query(`
    begin;
    update tickets set webhook_url = 'http://first.example/' where id = '${ticket_id}';
    update tasks set status = 'completed' where id = '${task}';
    commit`)
  assert.equal((await onlyEvent(db, task)).row.url, 'http://first.example/')
  await db.query(`
    begin;
    update tickets set webhook_url = null where id = '${ticket_id}';
    update tasks set status = 'failed' where id = '${task}';
    commit`)
  assert.deepEqual(await captured(db, task), [])
})

test('what is captured is owed at once, and has its columns as the body has them', async () => {
  const project_id = await insert(db, 'projects', { name: 'p' })
  const ticket_id = await insert(db, 'tickets', { title: 't', project_id, webhook_url: ticketUrl })
  const task = await runningTask(db, { ticket_id, assigned_agent_id: 'agent-7' })
  await setStatus(db, task, 'failed')
  const { row, body } = await onlyEvent(db, task)
  const { event_id, url, payload, ...rest } = row
  assert.match(event_id, /^[0-9a-f-]{36}$/)
  assert.equal(url, ticketUrl)
  assert.ok(payload.length > 0)
  assert.deepEqual(rest, {
    event_type: body.event_type,
    entity_type: body.entity_type,
    entity_id: body.entity_id,
    project_id: body.project_id,
    ticket_id: body.ticket_id,
    task_id: body.task_id,
    agent_id: body.agent_id,
    state: 'pending',
    attempts: 0,
  })
  assert.deepEqual(
    [body.entity_type, body.entity_id, body.project_id, body.ticket_id, body.task_id, body.agent_id],
    ['task', task, project_id, ticket_id, task, 'agent-7'],
  )
  const [due] = await db.query(
    `select next_attempt_at <= clock_timestamp() as due, lease_token, lease_until, last_error from webhook_outbox
     where event_id = $1`,
    [event_id],
  )
  assert.deepEqual(due, { due: true, lease_token: null, lease_until: null, last_error: null })
})
