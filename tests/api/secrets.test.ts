import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, test, type TestContext } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { fingerprintOf, isSecret, newSecret } from '../../src/delivery/signature.ts'
import { receiver } from '../support/endpoints.ts'
import type { Receiver } from '../support/receiver.ts'
import { createTestApi, pointers } from './support.ts'

const api = await createTestApi({ after })

interface Place {
  hooks: Receiver
  project: string
  endpoint: string
  /** Where the secrets of each are. */
  paths: { endpoint: string; project: string }
}

/** A project whose events go to a receiver. */
async function place(t: TestContext): Promise<Place> {
  const hooks = await receiver(t)
  const project = `p/${randomUUID()}`
  const body = { id: project, name: 'a', webhook_url: hooks.url('/hook?key=1') }
  assert.equal((await api.call('POST', '/api/v1/projects', body)).status, 201)
  const [row] = await api.database.query<{ id: string }>('select md5($1)::uuid as id', [hooks.url()])
  const paths = {
    endpoint: `/api/v1/endpoints/${row!.id}/secrets`,
    project: `/api/v1/projects/${encodeURIComponent(project)}/secrets`,
  }
  return { hooks, project, endpoint: row!.id, paths }
}

const fingerprints = async (path: string) =>
  (await api.call('GET', path)).body.items.map((item) => item['fingerprint'])

for (const kind of ['endpoint', 'project'] as const) {
  test(`secrets of one ${kind}: made or given, answered once, listed by fingerprint, two at most, removed`, async (t) => {
    const { paths, project, endpoint } = await place(t)
    const path = paths[kind]
    assert.deepEqual((await api.call('GET', path)).body, { items: [], next_cursor: null })
    const made = await api.call('POST', path)
    assert.equal(made.status, 201)
    const first = made.body['secret'] as string
    assert.ok(isSecret(first))
    assert.equal(made.body['fingerprint'], fingerprintOf(first))
    const again = await api.call('POST', path, { secret: first })
    assert.equal(again.status, 409)
    assert.match(again.body.detail, /signs already/)
    const second = newSecret()
    assert.equal((await api.call('POST', path, { secret: second })).body['secret'], second)
    const third = await api.call('POST', path)
    assert.equal(third.status, 409)
    assert.match(third.body.detail, new RegExp(`two secrets already.*${fingerprintOf(first)}`))
    assert.deepEqual(await fingerprints(path), [second, first].map(fingerprintOf))

    assert.equal((await api.call('DELETE', `${path}/${fingerprintOf(newSecret())}`)).status, 404)
    assert.equal((await api.call('DELETE', `${path}/${fingerprintOf(first)}`)).status, 204)
    assert.deepEqual(await fingerprints(path), [fingerprintOf(second)])
    assert.equal((await api.call('DELETE', path)).status, 204)
    assert.equal((await api.call('DELETE', path)).status, 204)
    assert.deepEqual(await fingerprints(path), [])

    const target = kind === 'endpoint' ? `endpoints/${endpoint}` : `projects/${project}`
    const audit = await api.call('GET', `/api/v1/audit?target=${encodeURIComponent(target)}`)
    assert.deepEqual(
      audit.body.items.map(({ action, detail }) => [action, detail]),
      [
        ['secret.remove', { fingerprints: [fingerprintOf(second)] }],
        ['secret.remove', { fingerprints: [fingerprintOf(first)] }],
        ['secret.add', { fingerprint: fingerprintOf(second) }],
        ['secret.add', { fingerprint: fingerprintOf(first) }],
      ],
    )
    const shown = [
      audit.text,
      (await api.call('GET', `/api/v1/endpoints/${endpoint}`)).text,
      (await api.call('GET', '/api/v1/endpoints')).text,
      JSON.stringify(api.logged),
    ].join()
    for (const secret of [first, second]) assert.ok(!shown.includes(secret.slice(6)))
  })

  test(`eight that add a secret to one ${kind} at once: two have it, and six are told why not`, async (t) => {
    const { paths } = await place(t)
    const answers = await Promise.all(Array.from({ length: 8 }, () => api.call('POST', paths[kind])))
    assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 201, 409, 409, 409, 409, 409, 409])
    assert.equal((await fingerprints(paths[kind])).length, 2)
  })

  test(`a secret of one ${kind} that is none is a 422, which does not quote it`, async (t) => {
    const { paths } = await place(t)
    for (const secret of ['whsec_CANARY', 'CANARY', '', `${newSecret()}CANARY`, 5, null]) {
      const answer = await api.call('POST', paths[kind], { secret })
      assert.equal(answer.status, 422, answer.text)
      assert.deepEqual(pointers(answer), ['#/secret'])
      assert.ok(!answer.text.includes('CANARY'))
    }
    assert.ok(!JSON.stringify(api.logged).includes('CANARY'))
  })

  test(`of what is no ${kind} there are no secrets: 404`, async () => {
    for (const id of [randomUUID(), 'x', 'a%00b']) {
      for (const method of ['GET', 'POST', 'DELETE']) {
        const answer = await api.call(method, `/api/v1/${kind}s/${id}/secrets`)
        assert.equal(answer.status, 404, `${method} ${id}: ${answer.text}`)
      }
    }
  })
}

test('an endpoint says how many secrets it has of its own', async (t) => {
  const { paths, endpoint } = await place(t)
  const count = async () => (await api.call('GET', `/api/v1/endpoints/${endpoint}`)).body['signing_secrets']
  assert.equal(await count(), 0)
  await api.call('POST', paths.endpoint)
  assert.equal(await count(), 1)
})

test('a test event is signed: with the own secrets of the endpoint, else with those of the project', async (t) => {
  const { hooks, paths, endpoint } = await place(t)
  const send = async () => {
    const answer = await api.call('POST', `/api/v1/endpoints/${endpoint}/test`)
    assert.equal(answer.body['delivered'], true, answer.text)
    const { headers, rawBody, path } = hooks.requests.at(-1)!
    assert.equal(path, '/hook?key=1')
    return (secret: string) => new Webhook(secret).verify(rawBody, headers as Record<string, string>)
  }
  const [own, ofProject] = [newSecret(), newSecret()]
  assert.throws(await send().then((verify) => () => verify(own)), /Missing required headers/)
  await api.call('POST', paths.project, { secret: ofProject })
  ;(await send())(ofProject)
  await api.call('POST', paths.endpoint, { secret: own })
  const verify = await send()
  verify(own)
  assert.throws(() => verify(ofProject), /No matching signature/)
})

test('secrets of a project that is gone can still be removed', async (t) => {
  const { paths, project } = await place(t)
  await api.call('POST', paths.project)
  await api.database.query('delete from projects where id = $1', [project])
  assert.equal((await api.call('DELETE', paths.project)).status, 204)
  assert.equal((await api.call('GET', paths.project)).status, 404)
})
