import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { receiver } from '../support/endpoints.ts'
import { createTestApi, pointers, testConfig } from './support.ts'

const config = { ...testConfig, installation: 'staging' }
const api = await createTestApi({ after }, { config })
const confirm = (name: unknown) => api.call('POST', '/api/v1/installation/confirm', { name })

test('it shows what is stored and what runs, and whether it sends', async () => {
  const unnamed = (await api.call('GET', '/api/v1/installation')).body
  assert.deepEqual(unnamed, { stored: null, stored_at: null, running: 'staging', sends: true, detail: null })
  const other = await confirm('production')
  assert.equal(other.status, 200)
  assert.equal(other.body['stored'], 'production')
  assert.equal(other.body['sends'], false)
  assert.match(other.body.detail, /"production".*"staging".*confirm-installation staging/)
  assert.deepEqual((await api.call('GET', '/api/v1/installation')).body, other.body)
  assert.equal((await confirm('staging')).body['sends'], true)
  assert.equal((await confirm(null)).body['stored'], null)
})

test('a test event is refused with 409 while the database belongs to another, and nothing is sent', async (t) => {
  const hooks = await receiver(t)
  await api.call('POST', '/api/v1/projects', { name: 'tested', webhook_url: hooks.url() })
  const [row] = await api.database.query<{ id: string }>('select md5($1)::uuid as id', [hooks.url()])
  const send = () => api.call('POST', `/api/v1/endpoints/${row!.id}/test`)
  await confirm('production')
  const refused = await send()
  assert.equal(refused.status, 409)
  assert.match(refused.body.detail, /nothing is sent until an operator confirms/)
  assert.equal(hooks.requests.length, 0)
  await confirm('staging')
  assert.equal((await send()).status, 200)
  assert.equal(hooks.requests.length, 1)
})

test('a name that cannot be one is a 422', async () => {
  for (const name of ['', ' ', 'a\nb', 'x'.repeat(201), 5, undefined]) {
    const answer = await confirm(name)
    assert.equal(answer.status, 422, JSON.stringify(name))
    assert.deepEqual(pointers(answer), ['#/name'])
  }
})
