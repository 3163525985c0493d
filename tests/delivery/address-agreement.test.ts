import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { refuseAddresses } from '../../src/delivery/webhook-url.ts'
import { createAddressPolicy, type AddressPolicyOptions } from '../../src/delivery/address-policy.ts'
import * as hosts from './forbidden-hosts.ts'
import { guard, resolvesTo } from './guard.ts'
import { canary, deliveryTo, sender } from './receivers.ts'

/**
 * "Can never be allowed" has one meaning: a literal is refused by the API exactly where the socket refuses it, under the
 * same configuration; a name only where the socket refuses whatever it may resolve to.
 */
const configurations: AddressPolicyOptions[] = [
  ...(['public', 'internal', 'loopback'] as const).map((policy) => ({ policy, allow: [], deny: [] })),
  {
    policy: 'public',
    allow: ['127.0.0.0/8', '100.64.0.0/10', 'fd12::/16'],
    deny: ['127.0.0.2/32', '8.8.8.0/24'],
  },
  { policy: 'loopback', allow: ['0.0.0.0/0', '::/0'], deny: ['10.0.0.0/8', '::1/128'] },
  { policy: 'internal', allow: ['127.0.0.1/32'], deny: ['127.0.0.0/8'] },
]

const literals = [
  ...[...hosts.loopbackLiterals, ...hosts.loopbackIpv6Literals, ...hosts.unspecifiedLiterals],
  ...[
    ...hosts.unspecifiedIpv6Literals,
    ...hosts.privateLiterals,
    ...hosts.sharedLiterals,
    ...hosts.neverLiterals,
  ],
  ...[
    '8.8.8.8',
    '9.9.9.9',
    '[2606:4700::1111]',
    '[::ffff:9.9.9.9]',
    '[64:ff9b::9.9.9.9]',
    '[2002:909:909::1]',
  ],
]

const sameAtBoth = async (t: Parameters<typeof sender>[0], url: string, options: AddressPolicyOptions) => {
  const refusal = refuseAddresses(createAddressPolicy(options))(new URL(url))
  const checkAddress = guard(options.policy, options)
  const one = sender(t, { checkAddress, resolve: resolvesTo('127.0.0.1') })
  const exchange = await one.send(deliveryTo(url))
  await one.close()
  const error = exchange.kind === 'failed' ? exchange.error : ''
  const refusedThere = error.startsWith('address not allowed: ') && !error.endsWith('LET THROUGH')
  assert.equal(
    refusal !== undefined,
    refusedThere,
    `${url} ${JSON.stringify(options)}: ${refusal} and ${error}`,
  )
  if (refusal !== undefined) {
    assert.equal(
      refusal.replace(/^must have a host that webhooks may be sent to/, 'address not allowed'),
      error,
    )
  }
}

for (const options of configurations) {
  test(`API and socket agree on every literal under ${JSON.stringify(options)}`, async (t) => {
    const { port } = await canary(t)
    for (const literal of literals) await sameAtBoth(t, hosts.urlOf('http', literal, port), options)
  })
}

test('API and socket agree on any literal', async (t) => {
  const { port } = await canary(t)
  const host = fc.oneof(
    fc.ipV4(),
    fc.ipV4Extended(),
    fc.ipV6().map((ip) => `[${ip}]`),
    fc.ipV4().map((ip) => `[::ffff:${ip}]`),
    fc.ipV4().map((ip) => `[64:ff9b::${ip}]`),
  )
  await fc.assert(
    fc.asyncProperty(host, fc.constantFrom(...configurations), async (literal, options) => {
      await sameAtBoth(t, `http://${literal}:${port}/`, options)
    }),
    { numRuns: 300 },
  )
})

test('a name that the API refuses is refused at the socket whatever it resolves to on this machine', async (t) => {
  const { port, sockets } = await canary(t)
  for (const options of configurations) {
    const refuse = refuseAddresses(createAddressPolicy(options))
    for (const name of [...hosts.localNames, ...hosts.otherNames]) {
      const url = hosts.urlOf('http', name, port)
      if (refuse(new URL(url)) === undefined) continue
      for (const answer of [['127.0.0.1'], ['::1'], ['::1', '127.0.0.1'], ['::ffff:127.0.0.1']]) {
        const checkAddress = guard(options.policy, options)
        const exchange = await sender(t, { checkAddress, resolve: resolvesTo(...answer) }).send(
          deliveryTo(url),
        )
        assert.equal(exchange.kind === 'failed' && exchange.reason, 'address', `${url} ${answer.join()}`)
      }
    }
  }
  assert.equal(sockets.length, 0)
})
