import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { createAdaptorServer } from '@hono/node-server'
import { routeDocs } from '../../src/api/openapi/route-docs.ts'
import { Client } from '../../src/client/client.ts'
import { ApiError, NoAnswer } from '../../src/client/errors.ts'
import { onCleanup } from '../support/cleanup.ts'
import { receiver } from '../support/endpoints.ts'
import { complete, runningTasks } from '../support/tasks.ts'
import { createTestApi, testConfig } from '../api/support.ts'

const owner = { after }
const token = 'a-token-of-the-client'
const api = await createTestApi(owner, {
  config: { ...testConfig, apiTokens: [{ role: 'write', name: 'client', token }] },
})
const baseUrl = await serve()
const client = new Client({ baseUrl, token })

async function serve(): Promise<string> {
  const server = createAdaptorServer({ fetch: api.app.fetch })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onCleanup(owner, () => new Promise((resolve) => server.close(resolve)))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('there is a method for every operation of the API', () => {
  const methods = new Set(Object.keys(client).concat(Object.getOwnPropertyNames(Client.prototype)))
  methods.delete('constructor')
  assert.deepEqual([...methods].sort(), routeDocs.map(({ id }) => id).sort())
})

test('what is created is found, listed and changed', async () => {
  const project = await client.createProject({ name: 'a', webhook_url: 'https://example.com/hook' })
  const ticket = await client.createTicket({ title: 'a', project_id: project.id })
  const agent = await client.createAgent({ agent_type: 'coder' })
  const task = await client.createTask({ title: 'a', ticket_id: ticket.id, assigned_agent_id: agent.id })
  assert.deepEqual(await client.getProject(project.id), project)
  assert.deepEqual(await client.getTicket(ticket.id), ticket)
  assert.deepEqual(await client.getTask(task.id), task)
  assert.equal((await client.updateProject(project.id, { status: 'archived' })).status, 'archived')
  assert.equal((await client.updateTicket(ticket.id, { title: 'b' })).title, 'b')
  assert.equal((await client.updateTask(task.id, { status: 'running' })).status, 'running')
  await client.sendHeartbeat(agent.id)
  assert.equal((await client.reportStuck(agent.id, { reason: 'loops' })).reason, 'loops')
  assert.equal((await client.getAgent(agent.id)).stuck?.reason, 'loops')
  assert.deepEqual(
    (await client.listTasks({ ticket_id: ticket.id })).items.map(({ id }) => id),
    [task.id],
  )
})

test('a list is read page by page', async () => {
  await complete(api.database, await runningTasks(api.database, 'http://127.0.0.1:9/pages', 5))
  const seen: string[] = []
  let cursor: string | undefined
  do {
    const page = await client.listDeliveries({ state: 'pending', limit: 2, cursor })
    seen.push(...page.items.map(({ event_id }) => event_id))
    cursor = page.next_cursor ?? undefined
  } while (cursor !== undefined)
  assert.ok(new Set(seen).size >= 5)
  assert.equal(new Set(seen).size, seen.length)
  assert.equal((await client.getDelivery(seen[0]!)).payload['event_type'], 'task.completed')
})

test('an id of any characters is one segment of the path', async () => {
  const id = 'a/b?c#d%2F ü'
  await client.createProject({ id, name: 'odd' })
  assert.equal((await client.getProject(id)).id, id)
})

test('a problem is an error with its title, its detail and what is wrong where', async () => {
  await assert.rejects(client.createProject({ name: '', webhook_url: 'ftp://x' }), (error) => {
    assert.ok(error instanceof ApiError)
    assert.equal(error.status, 422)
    assert.equal(error.title, 'Unprocessable Entity')
    assert.deepEqual(error.errors.map(({ pointer }) => pointer).sort(), ['#/name', '#/webhook_url'])
    assert.match(error.message, /2 values cannot be taken/)
    return true
  })
  await assert.rejects(client.getTask('none'), { name: 'ApiError', status: 404, message: /no task/ })
})

test('a wrong token is a 401, and stands in no error', async () => {
  const wrong = new Client({ baseUrl, token: 'SECRET-CANARY' })
  await assert.rejects(wrong.listProjects(), (error: Error) => {
    assert.ok(error instanceof ApiError)
    assert.equal(error.status, 401)
    assert.ok(!JSON.stringify({ ...error, message: error.message, stack: error.stack }).includes('CANARY'))
    return true
  })
})

test('readiness is an answer also where the service is not ready', async () => {
  assert.equal((await client.getReadiness()).status, 'ok')
  assert.equal((await client.getLiveness()).status, 'ok')
  assert.equal((await client.getOpenApi()).openapi, '3.1.1')
  assert.match(await client.getMetrics(), /^# /)
  assert.match(await client.getDocs(), /^<!doctype html>/)
})

test('where nobody listens the error names the address and the reason', async () => {
  // No test can have been given this port.
  const url = 'http://127.0.0.1:2'
  await assert.rejects(new Client({ baseUrl: url }).listTasks(), (error: Error) => {
    assert.ok(error instanceof NoAnswer)
    assert.ok(error.message.startsWith(`${url} cannot be reached (ECONNREFUSED)`), error.message)
    return true
  })
})

test('an answer that does not come in time is an error', async (t) => {
  const mute = await receiver(t, 'hang')
  const slow = new Client({ baseUrl: new URL(mute.url()).origin, timeoutMs: 100 })
  await assert.rejects(slow.listTasks(), { name: 'NoAnswer', message: /did not answer in time/ })
})

for (const [what, answer] of [
  ['a page', { status: 200, body: '<html>' }],
  ['an error of something else', { status: 502, body: 'Bad Gateway' }],
  ['a redirect', { status: 302, headers: { location: 'http://127.0.0.1:9/' } }],
] as const) {
  test(`${what} is not taken for an answer of this service`, async (t) => {
    const other = await receiver(t, answer)
    const client = new Client({ baseUrl: new URL(other.url()).origin, token })
    await assert.rejects(client.getTask('a'), { name: 'NoAnswer' })
    assert.equal(other.requests.length, 1, 'it is not asked again')
  })
}
