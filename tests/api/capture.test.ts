import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createTestApi } from './support.ts'

const api = await createTestApi({ after })
const outbox = (taskId: string) =>
  api.database.query<{ event_type: string; url: string; payload: string }>(
    'select event_type, url, payload from webhook_outbox where task_id = $1 order by id',
    [taskId],
  )

async function createTask(id: string, urls: { project?: string; ticket?: string } = {}): Promise<void> {
  const ids = { project: `p-${id}`, ticket: `t-${id}` }
  for (const [resource, body] of [
    ['projects', { id: ids.project, name: 'P', webhook_url: urls.project ?? null }],
    ['tickets', { id: ids.ticket, project_id: ids.project, title: 'T', webhook_url: urls.ticket ?? null }],
    ['tasks', { id, ticket_id: ids.ticket, title: 'K' }],
  ] as const) {
    assert.equal((await api.call('POST', `/api/v1/${resource}`, body)).status, 201)
  }
}

test('a patch to completed leaves exactly one event, a second one to the same status none', async () => {
  await createTask('done', { project: 'https://example.com/p' })
  await api.call('PATCH', '/api/v1/tasks/done', { status: 'running' })
  const result = { result: 'fine', output_summary: 'all of it' }
  assert.equal((await api.call('PATCH', '/api/v1/tasks/done', { status: 'completed', result })).status, 200)
  assert.equal((await api.call('PATCH', '/api/v1/tasks/done', { status: 'completed' })).status, 200)
  const events = await outbox('done')
  assert.equal(events.length, 1)
  assert.equal(events[0]!.event_type, 'task.completed')
  const { data } = JSON.parse(events[0]!.payload) as { data: unknown }
  assert.deepEqual(data, { result: 'fine', duration_seconds: 0, output_summary: 'all of it' })
})

test('a patch to failed carries the error and the counts of the same patch', async () => {
  await createTask('fails', { project: 'https://example.com/p', ticket: 'https://example.com/t' })
  await api.call('PATCH', '/api/v1/tasks/fails', {
    ...{ status: 'failed', error_message: 'boom', retry_count: 3, max_retries: 3 },
  })
  const [event] = await outbox('fails')
  assert.equal(event!.url, 'https://example.com/t')
  const { data } = JSON.parse(event!.payload) as { data: unknown }
  assert.deepEqual(data, { error: 'boom', retry_count: 3, max_retries: 3 })
})

test('a refused patch leaves no event', async () => {
  await createTask('refused', { project: 'https://example.com/p' })
  const patch = { status: 'completed', assigned_agent_id: 'nobody' }
  assert.equal((await api.call('PATCH', '/api/v1/tasks/refused', patch)).status, 422)
  assert.deepEqual(await outbox('refused'), [])
})

test('without a URL anywhere the task completes and there is no event; nor is there one for a task that is created completed', async () => {
  await createTask('silent')
  assert.equal((await api.call('PATCH', '/api/v1/tasks/silent', { status: 'completed' })).status, 200)
  assert.deepEqual(await outbox('silent'), [])
  await api.call('PATCH', '/api/v1/projects/p-silent', { webhook_url: 'https://example.com/p' })
  await api.call('POST', '/api/v1/tasks', {
    id: 'born',
    title: 'x',
    ticket_id: 't-silent',
    status: 'completed',
  })
  assert.deepEqual(await outbox('born'), [])
})

test('a webhook_url that is cleared counts no more', async () => {
  await createTask('cleared', { project: 'https://example.com/p', ticket: 'https://example.com/t' })
  await api.call('PATCH', '/api/v1/tickets/t-cleared', { webhook_url: null })
  await api.call('PATCH', '/api/v1/tasks/cleared', { status: 'completed' })
  assert.deepEqual(
    (await outbox('cleared')).map((event) => event.url),
    ['https://example.com/p'],
  )
})
