import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { createApp } from '../../src/api/app.ts'
import { kyselyOver } from '../../src/database/connection.ts'
import { callerOf, createTestApi, noSender, testConfig } from './support.ts'

const open = await createTestApi({ after })
const guarded = callerOf(
  createApp({
    db: kyselyOver(open.database.pool),
    sender: noSender,
    config: {
      ...testConfig,
      apiTokens: [
        { role: 'read', name: 'dashboard', token: 'read-token' },
        { role: 'write', name: 'backend', token: 'write-token' },
      ],
    },
    version: '0',
    health: () => Promise.resolve({ status: 'ok', checks: {} }),
  }),
)

describe('with tokens', () => {
  const reads: [string, string][] = [
    ['GET', '/api/v1/projects'],
    ['HEAD', '/api/v1/tasks'],
    ['GET', '/api/v1/deliveries'],
    ['GET', '/api/v1/endpoints'],
    ['GET', '/api/v1/operations'],
    ['GET', '/api/v1/audit'],
  ]
  const writes: [string, string, unknown?][] = [
    ['POST', '/api/v1/projects', { name: 'x' }],
    ['PATCH', '/api/v1/tasks/x', {}],
    ['POST', '/api/v1/agents/x/heartbeat'],
    ['POST', '/api/v1/agents/x/stuck', { reason: 'x' }],
    ['POST', '/api/v1/deliveries/x/replay'],
    ['POST', '/api/v1/deliveries/x/discard'],
    ['POST', '/api/v1/replays', {}],
    ['POST', '/api/v1/discards', {}],
    ['POST', '/api/v1/operations/x/cancel'],
    ['PATCH', '/api/v1/endpoints/x', {}],
    ['POST', '/api/v1/endpoints/x/pause'],
    ['POST', '/api/v1/endpoints/x/resume'],
    ['POST', '/api/v1/endpoints/x/test'],
  ]
  for (const [name, authorization, mayRead, mayWrite] of [
    ['no token', undefined, 401, 401],
    ['an unknown token', 'Bearer nope', 401, 401],
    ['a part of a token', 'Bearer write-toke', 401, 401],
    ['a token and more', 'Bearer write-tokens', 401, 401],
    ['two tokens', 'Bearer read-token write-token', 401, 401],
    ['another scheme', 'Basic write-token', 401, 401],
    ['the bare token', 'write-token', 401, 401],
    ['an empty token', 'Bearer ', 401, 401],
    ['the read token', 'Bearer read-token', 'allowed', 403],
    ['the write token', 'Bearer write-token', 'allowed', 'allowed'],
    ['the scheme in lower case', 'bearer write-token', 'allowed', 'allowed'],
  ] as const) {
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization }
    const check = async (method: string, path: string, body: unknown, expected: number | string) => {
      const answer = await guarded(method, path, body, { headers })
      const allowed = answer.status !== 401 && answer.status !== 403
      assert.equal(allowed ? 'allowed' : answer.status, expected, `${method} ${path}`)
      if (answer.status === 401) assert.match(answer.headers.get('www-authenticate')!, /^Bearer realm=/)
      if (!allowed && method !== 'HEAD') {
        assert.equal(answer.headers.get('content-type'), 'application/problem+json')
        assert.doesNotMatch(answer.text, /read-token|write-token/)
      }
    }
    test(`${name}: reading is ${mayRead}, writing ${mayWrite}`, async () => {
      for (const [method, path] of reads) await check(method, path, undefined, mayRead)
      for (const [method, path, body] of writes) await check(method, path, body, mayWrite)
    })
  }

  test('livez and readyz need none, a path that does not exist does', async () => {
    assert.equal((await guarded('GET', '/livez')).status, 200)
    assert.equal((await guarded('GET', '/readyz')).status, 200)
    assert.equal((await guarded('POST', '/livez')).status, 405)
    assert.equal((await guarded('GET', '/nope')).status, 401)
  })

  test('any Host is served', async () => {
    const headers = { authorization: 'Bearer read-token', host: 'webhooks.example' }
    assert.equal((await guarded('GET', '/api/v1/projects', undefined, { headers })).status, 200)
  })
})

describe('without tokens', () => {
  for (const host of ['localhost', 'LOCALHOST:3000', '127.0.0.1', '127.1.2.3:80', '[::1]', '[::1]:3000']) {
    test(`the Host ${host} is served`, async () => {
      assert.equal((await open.call('GET', '/api/v1/projects', undefined, { headers: { host } })).status, 200)
    })
  }
  for (const host of [
    ...[
      'evil.example',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      '10.0.0.1',
      '0.0.0.0',
      '[::2]',
      '',
      'localhost@evil',
    ],
    ...['evil.example:3000', '128.0.0.1', '[::ffff:10.0.0.1]', 'localhost:3000:1', '127.1'],
  ]) {
    test(`the Host ${host || '(empty)'} is 403`, async () => {
      for (const method of ['GET', 'POST']) {
        const answer = await open.call(method, '/api/v1/projects', undefined, { headers: { host } })
        assert.equal(answer.status, 403)
        assert.equal(answer.headers.get('content-type'), 'application/problem+json')
      }
    })
  }

  test('a request to another host is 403 whatever its Host header says', async () => {
    const answer = await open.call('GET', 'http://evil.example/api/v1/projects', undefined, {
      headers: { host: 'localhost' },
    })
    assert.equal(answer.status, 403)
  })

  test("another site's page may not change anything, one of this machine may", async () => {
    for (const [origin, status] of [
      ['https://evil.example', 403],
      ['null', 403],
      ['http://localhost:3000', 404],
      ['http://127.0.0.1', 404],
    ] as const) {
      const answer = await open.call('POST', '/api/v1/agents/nope/heartbeat', undefined, {
        headers: { origin },
      })
      assert.equal(answer.status, status, origin)
    }
  })

  test('a probe is answered under any Host', async () => {
    assert.equal(
      (await open.call('GET', '/livez', undefined, { headers: { host: 'evil.example' } })).status,
      200,
    )
  })
})

test('a process that only dispatches serves its health and nothing else', async () => {
  const app = createApp({
    ...{ db: undefined as never, config: { ...testConfig, role: 'dispatcher' }, version: '0' },
    sender: noSender,
    health: () => Promise.resolve({ status: 'ok', checks: {} }),
  })
  assert.equal((await app.request('/livez')).status, 200)
  assert.equal((await app.request('/readyz')).status, 200)
  assert.equal((await app.request('/api/v1/projects')).status, 404)
})
