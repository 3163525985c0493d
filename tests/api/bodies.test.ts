import assert from 'node:assert/strict'
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, describe, test } from 'node:test'
import { createAdaptorServer } from '@hono/node-server'
import { onCleanup } from '../support/cleanup.ts'
import { createTestApi, pointers } from './support.ts'

const owner = { after }
const api = await createTestApi(owner)
await api.call('POST', '/api/v1/projects', { id: 'p', name: 'P' })
await api.call('POST', '/api/v1/tasks', { id: 'k', title: 'K' })
await api.call('POST', '/api/v1/agents', { id: 'a' })

const uuid = '00000000-0000-4000-8000-000000000000'
const writes: [string, string][] = [
  ['POST', '/api/v1/projects'],
  ['POST', '/api/v1/tickets'],
  ['POST', '/api/v1/tasks'],
  ['POST', '/api/v1/agents'],
  ['POST', '/api/v1/agents/a/stuck'],
  ['PATCH', '/api/v1/projects/p'],
  ['PATCH', '/api/v1/tasks/k'],
  ['POST', '/api/v1/replays'],
  ['POST', '/api/v1/discards'],
  ['PATCH', `/api/v1/endpoints/${uuid}`],
  ['POST', `/api/v1/endpoints/${uuid}/pause`],
  ['POST', `/api/v1/deliveries/${uuid}/discard`],
]
/** A body is optional there: none at all counts as {}. */
const needsBody = (path: string) => !/\/(?:pause|discard)$/.test(path)

describe('content type', () => {
  for (const [method, path] of writes) {
    for (const type of [
      ...[
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'application/jsonp',
      ],
      ...[
        'application/vnd.api+json',
        'application/json; charset=latin1',
        'application/json;charset="utf-16"',
        '',
        'json',
      ],
      ...(method === 'POST' ? ['application/merge-patch+json'] : ['application/json-patch+json']),
    ]) {
      test(`${method} ${path} of ${type || 'an empty type'} is 415`, async () => {
        const answer = await api.call(method, path, undefined, {
          raw: '{',
          headers: { 'content-type': type },
        })
        assert.equal(answer.status, 415)
        assert.equal(answer.headers.get('content-type'), 'application/problem+json')
      })
    }
  }

  for (const type of [
    ...[
      'application/json',
      'Application/JSON',
      'application/json; charset=utf-8',
      'application/json;charset="UTF-8"',
    ],
    'application/json ; charset=utf8; x=y',
  ]) {
    test(`${type} is taken`, async () => {
      const headers = { 'content-type': type }
      const answer = await api.call('POST', '/api/v1/projects', { name: 'typed' }, { headers })
      assert.equal(answer.status, 201, answer.text)
      const empty = await api.call('POST', '/api/v1/projects', {}, { headers })
      assert.equal(empty.status, 422)
    })
  }

  test('a body without a type, and one in a content encoding, are 415', async () => {
    const untyped = new Request('http://localhost/api/v1/projects', {
      method: 'POST',
      body: new Blob(['{"name":"x"}']),
    })
    untyped.headers.delete('content-type')
    assert.equal((await api.app.request(untyped)).status, 415)
    const encoded = await api.call(
      'POST',
      '/api/v1/projects',
      {},
      { headers: { 'content-encoding': 'gzip' } },
    )
    assert.equal(encoded.status, 415)
  })
})

describe('malformed bodies', () => {
  for (const [method, path] of writes) {
    for (const raw of [
      '',
      ' ',
      '{',
      '{"a":}',
      'nul',
      "{'name':'x'}",
      '{"name":"x"} x',
      '{"name":"\u0001"}',
      '\uFEFF',
    ].filter((raw) => raw !== '' || needsBody(path))) {
      test(`${method} ${path} of ${JSON.stringify(raw)} is 400`, async () => {
        const answer = await api.call(method, path, undefined, { raw })
        assert.equal(answer.status, 400, answer.text)
        assert.equal(answer.headers.get('content-type'), 'application/problem+json')
      })
    }

    test(`${method} ${path} without a body is ${needsBody(path) ? 400 : 404}`, async () => {
      assert.equal((await api.call(method, path)).status, needsBody(path) ? 400 : 404)
    })

    test(`${method} ${path} of invalid UTF-8 is 400`, async () => {
      for (const bytes of [[0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0xc0, 0x80], [0xf0, 0x9f, 0x98]]) {
        const raw = Buffer.concat([Buffer.from('{"name":"'), Buffer.from(bytes), Buffer.from('"}')])
        const answer = await api.call(method, path, undefined, { raw: new Uint8Array(raw) })
        assert.equal(answer.status, 400)
      }
    })

    for (const raw of ['[]', 'null', '"x"', '3', 'true', '[{"name":"x"}]']) {
      test(`${method} ${path} of ${raw} is 422 at the whole`, async () => {
        const answer = await api.call(method, path, undefined, { raw })
        assert.equal(answer.status, 422)
        assert.deepEqual(pointers(answer), ['#'])
      })
    }
  }

  test('the last of duplicate keys counts', async () => {
    const answer = await api.call('POST', '/api/v1/projects', undefined, { raw: '{"name":3,"name":"last"}' })
    assert.equal(answer.body.name, 'last')
  })
})

describe('size', () => {
  const sized = (bytes: number) => {
    const start = '{"title":"x","name":"x","pad":"'
    return `${start}${'p'.repeat(bytes - start.length - 2)}"}`
  }
  for (const [method, path] of writes) {
    const limit = (path.includes('/tasks') ? 256 : 64) * 1024
    test(`${method} ${path} takes ${limit} bytes and refuses one more`, async () => {
      assert.equal((await api.call(method, path, undefined, { raw: sized(limit) })).status, 422)
      const answer = await api.call(method, path, undefined, { raw: sized(limit + 1) })
      assert.equal(answer.status, 413)
      assert.equal(answer.headers.get('content-type'), 'application/problem+json')
    })
  }

  test('through a socket: a body in chunks that do not say their length is refused past the limit', async () => {
    const server = createAdaptorServer({ fetch: api.app.fetch })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onCleanup(owner, () => new Promise((resolve) => server.close(resolve)))
    const { port } = server.address() as AddressInfo
    const send = (chunks: string[], headers: Record<string, string | number> = {}) =>
      new Promise<number>((resolve, reject) => {
        const sent = request({
          ...{ port, host: '127.0.0.1', method: 'POST', path: '/api/v1/projects', agent: false },
          headers: { 'content-type': 'application/json', ...headers },
        })
        sent.on('response', (response) => {
          response.resume().on('end', () => resolve(response.statusCode ?? 0))
        })
        sent.on('error', reject)
        for (const chunk of chunks) sent.write(chunk)
        sent.end()
      })
    assert.equal(await send(['{"name":', '"chunked"}']), 201)
    assert.equal(await send(['{"name":"', ...Array.from({ length: 70 }, () => 'x'.repeat(1024)), '"}']), 413)
    const long = 'x'.repeat(3_000_000)
    assert.equal(await send([long], { 'content-length': long.length }), 413)
    assert.equal(await send([]), 400)
  })

  for (const [path, status] of [
    ['agents/a/heartbeat', 204],
    [`deliveries/${uuid}/replay`, 404],
    [`endpoints/${uuid}/resume`, 404],
    [`endpoints/${uuid}/test`, 404],
    [`operations/${uuid}/cancel`, 404],
  ] as const) {
    test(`${path} needs no body, takes any, and refuses a large one`, async () => {
      assert.equal((await api.call('POST', `/api/v1/${path}`)).status, status)
      assert.equal((await api.call('POST', `/api/v1/${path}`, {})).status, status)
      const large = { raw: 'x'.repeat(65_537) }
      assert.equal((await api.call('POST', `/api/v1/${path}`, undefined, large)).status, 413)
    })
  }
})

describe('invalid values', () => {
  test('everything that is wrong is named at once, with what to change', async () => {
    const answer = await api.call('POST', '/api/v1/projects', {
      ...{ id: '', status: 7, webhook_url: 'ftp://example.com', nope: 1, 'a/b~c d': 2 },
    })
    assert.equal(answer.status, 422)
    assert.deepEqual(pointers(answer), [
      ...['#/a~1b~0c%20d', '#/id', '#/name', '#/nope', '#/status', '#/webhook_url'],
    ])
    assert.deepEqual(Object.keys(answer.body), ['type', 'title', 'status', 'detail', 'errors'])
    for (const { detail } of answer.body.errors) assert.match(detail, /must|required|remove/)
  })

  test('__proto__ is an unknown key', async () => {
    for (const [method, path] of writes) {
      const raw = '{"__proto__":{"name":"x","title":"x","reason":"x"}}'
      const answer = await api.call(method, path, undefined, { raw })
      assert.equal(answer.status, 422)
      assert.ok(pointers(answer).includes('#/__proto__'))
    }
  })

  const rows: [string, unknown, string][] = [
    ...['\0', 'a\0b', '\ud800', 'x\udc00', '', '  ', 'x'.repeat(501), null, 3, [], {}].map(
      (value): [string, unknown, string] => ['projects', { name: value }, '#/name'],
    ),
    ...['\0', '\n', '\u007f', '\u0085', '\ud800', '', '.', '..', 'x'.repeat(201), null, 3].map(
      (value): [string, unknown, string] => ['agents', { id: value }, '#/id'],
    ),
    ...['\0', '\n', '\ud800', '', 'x'.repeat(51), null, false].map((value): [string, unknown, string] => [
      'agents',
      { status: value },
      '#/status',
    ]),
    ...[-1, 0.5, 2_147_483_648, 1e300, '1', null, true].map((value): [string, unknown, string] => [
      'tasks',
      { title: 'x', retry_count: value },
      '#/retry_count',
    ]),
    ['tasks', { title: 'x', error_message: 'x'.repeat(65_537) }, '#/error_message'],
    ['tasks', { title: 'x', error_message: 'a\0' }, '#/error_message'],
    ['agents', { agent_type: 'x'.repeat(101) }, '#/agent_type'],
    ['agents/a/stuck', { reason: '' }, '#/reason'],
    ['agents/a/stuck', { reason: 'x'.repeat(1_001) }, '#/reason'],
    ['agents/a/stuck', {}, '#/reason'],
    ['tasks', { title: 'x', result: '\0' }, '#/result'],
    ['tasks', { title: 'x', result: { a: [0, '\ud800'] } }, '#/result/a/1'],
    ['tasks', { title: 'x', result: { 'a\0/b': 1 } }, '#/result/a%00~1b'],
    ['tasks', { title: 'x', result: { '\udfff': 1 } }, '#/result/%EF%BF%BD'],
  ]
  for (const [resource, body, pointer] of rows) {
    const shown = JSON.stringify(body)
    test(`${resource} with ${shown.length > 60 ? `${shown.slice(0, 60)}…` : shown} is 422 at ${pointer}`, async () => {
      const answer = await api.call('POST', `/api/v1/${resource}`, body)
      assert.equal(answer.status, 422, answer.text)
      assert.deepEqual(pointers(answer), [pointer])
    })
  }

  for (const [name, body] of [
    ['name', { name: 'x'.repeat(500) }],
    ['name of emoji', { name: '😀'.repeat(500) }],
    ['id', { name: 'x', id: 'i'.repeat(200) }],
    ['status', { name: 'x', status: 's'.repeat(50) }],
  ] as const) {
    test(`the longest ${name} is taken`, async () => {
      assert.equal((await api.call('POST', '/api/v1/projects', body)).status, 201)
    })
  }

  for (const [raw, pointer] of [
    ['{"title":"x","result":1e400}', '#/result'],
    ['{"title":"x","result":[{"n":-1e999}]}', '#/result/0/n'],
    ['{"title":"x","retry_count":1e400}', '#/retry_count'],
    [`{"title":"x","result":${'['.repeat(101)}${']'.repeat(101)}}`, `#/result${'/0'.repeat(100)}`],
    [`{"title":"x","result":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, `#/result${'/0'.repeat(100)}`],
    [`{"title":"x","result":${'{"a":'.repeat(40_000)}1${'}'.repeat(40_000)}}`, `#/result${'/a'.repeat(100)}`],
    [`{"title":"x","nope":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, '#/nope'],
    [`${'['.repeat(100_000)}${']'.repeat(100_000)}`, '#'],
  ] as const) {
    test(`a task of ${raw.slice(0, 40)}… is 422`, async () => {
      const answer = await api.call('POST', '/api/v1/tasks', undefined, { raw })
      assert.equal(answer.status, 422)
      assert.deepEqual(pointers(answer), [pointer])
    })
  }

  test('a result of 100 levels and of the largest numbers is stored', async () => {
    for (const result of [
      `${'['.repeat(100)}${']'.repeat(100)}`,
      '[1e308,-1e308,1e-320,123456789012345678901234567890]',
    ]) {
      const answer = await api.call('POST', '/api/v1/tasks', undefined, {
        raw: `{"title":"x","result":${result}}`,
      })
      assert.equal(answer.status, 201, answer.text)
      assert.deepEqual(answer.body.result, JSON.parse(result))
    }
  })

  test('a result that is wrong in very many places is answered shortly', async () => {
    const result = Array.from({ length: 20_000 }, () => '\0')
    const answer = await api.call('POST', '/api/v1/tasks', { title: 'x', result })
    assert.equal(answer.status, 422)
    assert.ok(answer.text.length < 20_000)
  })
})
