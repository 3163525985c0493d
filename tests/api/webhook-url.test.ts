import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { createTestApi, pointers } from './support.ts'

const api = await createTestApi(
  { after },
  {
    refuseUrl: (url) => (url.hostname === '169.254.169.254' ? 'must not be a link-local address' : undefined),
  },
)
await api.call('POST', '/api/v1/projects', { id: 'p', name: 'P', webhook_url: 'https://kept.example/' })
await api.call('POST', '/api/v1/tickets', { id: 't', title: 'T', webhook_url: 'https://kept.example/' })

const ofLength = (length: number) =>
  `https://example.com/${'x'.repeat(length - 'https://example.com/'.length)}`

describe('a webhook_url that is taken is stored as it was parsed', () => {
  for (const [given, stored = given] of [
    ['https://example.com/hook?a=1#f'],
    ['http://127.0.0.1:8080/'],
    ['http://[::1]/'],
    ['HTTPS://EXAMPLE.com', 'https://example.com/'],
    ['https://exämple.com/ä?ö', 'https://xn--exmple-cua.com/%C3%A4?%C3%B6'],
    ['https://example.com:443/a/../b', 'https://example.com/b'],
    ['http://0x7f.1/', 'http://127.0.0.1/'],
    ['https://example.com/a b', 'https://example.com/a%20b'],
    [ofLength(2_048)],
  ] as [string, string?][]) {
    test(given.slice(0, 60), async () => {
      for (const path of ['projects/p', 'tickets/t']) {
        const answer = await api.call('PATCH', `/api/v1/${path}`, { webhook_url: given })
        assert.equal(answer.status, 200, answer.text)
        assert.equal(answer.body.webhook_url, stored)
      }
    })
  }
})

describe('a webhook_url that is refused is not stored, and not repeated', () => {
  for (const given of [
    ...[
      '',
      ' ',
      'x',
      '/hook',
      '//example.com/canary',
      'example.com/canary',
      'http://',
      'https:///',
      'http://a b/canary',
    ],
    ...[
      'ftp://example.com/canary',
      'javascript:canary',
      'data:text/plain,canary',
      'file:///etc/canary',
      'ws://canary.example/',
    ],
    ...['https://user:canary@example.com/', 'https://canary@example.com/', 'https://:canary@example.com/'],
    ...[
      ' https://example.com/canary',
      'https://example.com/canary ',
      'https://example.com/canary\n',
      '\uFEFFhttps://example.com/canary',
    ],
    ...[
      'https://example.com/can\tary',
      'https://example.com/can\nary',
      'https://example.com/canary\0',
      'https://example.com/canary\u0085',
    ],
    ...[
      'https://example.com/canary\ud800',
      'https://example.com:99999/canary',
      'https://[::1/canary',
      'http://256.1.1.1/canary',
    ],
    ...[
      'http://169.254.169.254/canary',
      'http://0xa9fea9fe/canary',
      ofLength(2_049),
      `https://example.com/${'ä'.repeat(400)}`,
    ],
    ...[3, true, [], {}, ['https://example.com/canary']],
  ]) {
    test(JSON.stringify(given).slice(0, 60), async () => {
      for (const path of ['projects/p', 'tickets/t']) {
        const { webhook_url: kept } = (await api.call('GET', `/api/v1/${path}`)).body as {
          webhook_url: string
        }
        const answer = await api.call('PATCH', `/api/v1/${path}`, { webhook_url: given })
        assert.equal(answer.status, 422, answer.text)
        assert.deepEqual(pointers(answer), ['#/webhook_url'])
        assert.match(answer.body.errors[0]!.detail, /^must /)
        assert.doesNotMatch(answer.text, /canary/)
        assert.equal((await api.call('GET', `/api/v1/${path}`)).body.webhook_url, kept)
      }
    })
  }

  test('the empty string is told to be null', async () => {
    const answer = await api.call('PATCH', '/api/v1/projects/p', { webhook_url: '' })
    assert.match(answer.body.errors[0]!.detail, /null/)
  })

  test('null clears it', async () => {
    const answer = await api.call('PATCH', '/api/v1/projects/p', { webhook_url: null })
    assert.equal(answer.body.webhook_url, null)
  })
})
