import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { OpenApiDocument } from '../../src/api/openapi/document.ts'
import { newSecret } from '../../src/delivery/signature.ts'
import { DocumentChecker } from '../support/api-document.ts'
import { dispatcher, open, owe, receiver } from '../support/endpoints.ts'
import type { ReceivedRequest } from '../support/receiver.ts'
import { complete, runningTasks } from '../support/tasks.ts'
import { createTestApi } from './support.ts'

const api = await createTestApi({ after })
const document = JSON.parse((await api.call('GET', '/openapi.json')).text) as OpenApiDocument
const checker = new DocumentChecker(document)

/** A writer's trace, which events of the API's requests are sent on with. */
const headers = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' }

/** What makes each event; its receiver is at `url`. */
const causes: Record<string, (url: string) => Promise<unknown>> = {
  'task.completed': async (url) => complete(api.database, await runningTasks(api.database, url)),
  'task.failed': async (url) => {
    const [id] = await runningTasks(api.database, url)
    const body = { status: 'failed', error_message: 'out of memory' }
    return api.call('PATCH', `/api/v1/tasks/${encodeURIComponent(id!)}`, body, { headers })
  },
  'agent.stuck': async (url) => {
    const [id] = await runningTasks(api.database, url)
    const agent = await api.call('POST', '/api/v1/agents', {})
    await api.call('PATCH', `/api/v1/tasks/${encodeURIComponent(id!)}`, { assigned_agent_id: agent.body.id })
    return api.call('POST', `/api/v1/agents/${agent.body.id}/stuck`, { reason: 'loops' }, { headers })
  },
  // Its receiver answers this one with 410.
  'endpoint.failing': (url) => owe(api.database, url),
  'endpoint.recovered': async (url) => {
    const columns = Object.entries(open).map(([column, value]) => `${column} = ${value}`)
    await api.database.query(`update webhook_endpoints set ${columns.join()} where url = $1`, [url])
    await owe(api.database, url)
  },
  'webhook.test': async (url) => {
    await api.call('POST', '/api/v1/projects', { name: 'tested', webhook_url: url })
    const [row] = await api.database.query<{ id: string }>('select md5($1)::uuid as id', [url])
    return api.call('POST', `/api/v1/endpoints/${row!.id}/test`)
  },
}

test('each event arrives as the webhooks section says: headers, body, and nothing besides', async (t) => {
  const hooks = await receiver(t, ({ path }) => ({ status: path === '/endpoint.failing' ? 410 : 200 }))
  dispatcher(t, api.database, { operatorUrl: hooks.url('/operator') }).dispatcher.start()
  assert.deepEqual(Object.keys(document.webhooks).sort(), Object.keys(causes).sort())
  for (const [type, cause] of Object.entries(causes)) {
    for (const path of [`/${type}`, '/operator']) await signed(hooks.url(path))
    await cause(hooks.url(`/${type}`))
    const request = await hooks.waitFor(({ body }) => body.event_type === type)
    checkRequest(type, request)
  }
})

/** Two secrets, so that everything comes that is documented. */
async function signed(url: string): Promise<void> {
  await api.database.query(
    `insert into webhook_endpoints (id, url, secrets) values (md5($1)::uuid, $1, $2)
     on conflict (id) do update set secrets = excluded.secrets`,
    [url, [newSecret(), newSecret()]],
  )
}

function checkRequest(type: string, request: ReceivedRequest): void {
  const { parameters = [], requestBody } = document.webhooks[type]!.post
  for (const { name, schema, required } of parameters) {
    if (required || name in request.headers) checker.value(schema, request.headers[name], `${type} ${name}`)
  }
  assert.ok('webhook-signature' in request.headers, 'what is optional came as well')
  const traced = ['task.failed', 'agent.stuck'].includes(type)
  assert.equal(request.headers['traceparent'], traced ? headers.traceparent : undefined)
  const named = parameters.map(({ name }) => name)
  const ofHttp = ['host', 'connection', 'content-length', 'content-type', 'accept', 'accept-encoding']
  const others = Object.keys(request.headers).filter(
    (name) => !named.includes(name) && !ofHttp.includes(name),
  )
  assert.deepEqual(others, [], 'no header comes that is not documented')
  const [contentType, content] = Object.entries(requestBody!.content)[0]!
  assert.equal(request.headers['content-type'], contentType)
  checker.value(content.schema, request.body, type, { loose: false })
}

test('each event says what every answer to it means', () => {
  for (const [type, { post }] of Object.entries(document.webhooks)) {
    assert.deepEqual(
      Object.keys(post.responses).sort(),
      ['2XX', '3XX', '408', '410', '425', '429', '4XX', '5XX', 'default'].sort(),
      type,
    )
  }
})
