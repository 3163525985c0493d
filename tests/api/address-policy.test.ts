import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { refuseAddresses } from '../../src/delivery/webhook-url.ts'
import { createAddressPolicy, type AddressPolicyOptions } from '../../src/delivery/address-policy.ts'
import * as hosts from '../delivery/forbidden-hosts.ts'
import { createTestApi, pointers, type TestApi } from './support.ts'

const apiUnder = async (options: AddressPolicyOptions): Promise<TestApi> => {
  const api = await createTestApi({ after }, { refuseUrl: refuseAddresses(createAddressPolicy(options)) })
  await api.call('POST', '/api/v1/projects', { id: 'p', name: 'P', webhook_url: 'https://kept.example/' })
  await api.call('POST', '/api/v1/tickets', { id: 't', title: 'T', webhook_url: 'https://kept.example/' })
  return api
}
const apis = {
  public: await apiUnder({ policy: 'public', allow: [], deny: ['8.8.8.0/24'] }),
  internal: await apiUnder({ policy: 'internal', allow: ['100.64.0.0/10'], deny: [] }),
  loopback: await apiUnder({ policy: 'loopback', allow: [], deny: [] }),
}

// What the form of a URL refuses already is tested in webhook-url.test.ts.
const known = (literals: string[]) => literals.filter((literal) => !/[\t\n\0\u200b\ufeff]/.test(literal))
const loopback = known([...hosts.loopbackLiterals, ...hosts.loopbackIpv6Literals, ...hosts.localNames])
const never = known([...hosts.neverLiterals, ...hosts.unspecifiedLiterals, ...hosts.unspecifiedIpv6Literals])
const byPolicy = / which neither ADDRESS_POLICY=(public|internal) nor ADDRESS_ALLOW allows$/

const refused: [under: keyof typeof apis, what: string, literals: string[], detail: RegExp][] = [
  ['public', 'loopback', loopback, byPolicy],
  ['internal', 'loopback', loopback, byPolicy],
  ['public', 'private', [...hosts.privateLiterals, ...hosts.sharedLiterals], byPolicy],
  [
    'public',
    'denied',
    ['8.8.8.8', '0x08080808', '[::ffff:8.8.8.8]', '[2002:808:808::1]'],
    /denied by ADDRESS_DENY$/,
  ],
  ['public', 'never allowed', never, / which is never allowed$/],
  ['internal', 'never allowed', never, / which is never allowed$/],
  ['loopback', 'never allowed', never, / which is never allowed$/],
]

describe('a webhook_url with a forbidden host is refused with the reason, and not stored', () => {
  for (const [under, what, literals, detail] of refused) {
    test(`${what} under ADDRESS_POLICY=${under}: ${literals.length} spellings`, async () => {
      for (const literal of literals) {
        const webhook_url = `${hosts.urlOf('https', literal, 8443)}?token=canary`
        for (const [method, path, body] of [
          ['PATCH', 'projects/p', {}],
          ['PATCH', 'tickets/t', {}],
          ['POST', 'projects', { id: 'new', name: 'N' }],
          ['POST', 'tickets', { id: 'new', title: 'N' }],
        ] as const) {
          const answer = await apis[under].call(method, `/api/v1/${path}`, { ...body, webhook_url })
          assert.equal(answer.status, 422, `${literal}: ${answer.text}`)
          assert.deepEqual(pointers(answer), ['#/webhook_url'])
          assert.match(answer.body.errors[0]!.detail, /^must have a host that webhooks may be sent to: /)
          assert.match(answer.body.errors[0]!.detail, detail, literal)
          assert.doesNotMatch(answer.text, /canary/)
        }
      }
      const stored = await apis[under].database.query<{ url: string }>(
        'select webhook_url as url from projects union all select webhook_url from tickets',
      )
      assert.deepEqual(stored, [{ url: 'https://kept.example/' }, { url: 'https://kept.example/' }])
    })
  }
})

test('what the policy allows is stored, and names are left to the socket', async () => {
  const taken: [under: keyof typeof apis, url: string][] = [
    ['public', 'https://9.9.9.9/'],
    ['public', 'https://[2606:4700::1111]/'],
    ['public', 'https://hook.internal/'],
    ['public', 'https://metadata.google.internal/'],
    ['public', 'https://127.0.0.1.nip.io/'],
    ['internal', 'http://10.1.2.3:8080/'],
    ['internal', 'http://[fd12::1]/'],
    ['internal', 'http://100.64.0.1/'],
    ['loopback', 'http://127.0.0.1:8080/'],
    ['loopback', 'http://[::1]/'],
    ['loopback', 'http://localhost:3000/'],
  ]
  for (const [under, webhook_url] of taken) {
    for (const path of ['projects/p', 'tickets/t']) {
      const answer = await apis[under].call('PATCH', `/api/v1/${path}`, { webhook_url })
      assert.equal(answer.status, 200, answer.text)
      assert.equal(answer.body.webhook_url, webhook_url)
      await apis[under].call('PATCH', `/api/v1/${path}`, { webhook_url: 'https://kept.example/' })
    }
  }
})

test('a row whose forbidden URL somebody stored by SQL can be read and changed', async () => {
  const api = apis.public
  await api.database.query(
    `insert into projects (id, name, webhook_url) values ('sql', 'S', 'http://127.0.0.1/')`,
  )
  const answer = await api.call('PATCH', '/api/v1/projects/sql', { name: 'renamed' })
  assert.equal(answer.status, 200, answer.text)
  assert.equal(answer.body.webhook_url, 'http://127.0.0.1/')
  const again = await api.call('PATCH', '/api/v1/projects/sql', { webhook_url: 'http://127.0.0.1/' })
  assert.equal(again.status, 422)
  const cleared = await api.call('PATCH', '/api/v1/projects/sql', { webhook_url: null })
  assert.equal(cleared.body.webhook_url, null)
})
