import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import test, { describe } from 'node:test'
import fc from 'fast-check'
import { createAddressPolicy } from '../../src/delivery/address-policy.ts'
import * as hosts from './forbidden-hosts.ts'
import { answers, closeAll, guard, resolvesTo, staysHere, type Policy } from './guard.ts'
import { canary, deliveryTo, expectKind, hasIpv6, httpReceiver, sender } from './receivers.ts'

const policies: Policy[] = ['public', 'internal', 'loopback']

const refusal = /^address not allowed: .* (never allowed|nor ADDRESS_ALLOW allows|denied by ADDRESS_DENY)$/
const noUrl = /^address not allowed: (not a URL|the URL holds credentials)$/

const forbidden: [what: string, under: Policy[], literals: string[], error: RegExp][] = [
  ['loopback', ['public', 'internal'], [...hosts.loopbackLiterals, ...hosts.loopbackIpv6Literals], refusal],
  ['names of loopback', ['public', 'internal'], [...hosts.localNames, ...hosts.otherNames], refusal],
  [
    'the unspecified address',
    policies,
    [...hosts.unspecifiedLiterals, ...hosts.unspecifiedIpv6Literals],
    refusal,
  ],
  ['private addresses', ['public'], hosts.privateLiterals, refusal],
  ['shared addresses', policies, hosts.sharedLiterals, refusal],
  ['what is never allowed', policies, hosts.neverLiterals, refusal],
  ['what is no URL, or holds credentials', policies, hosts.refusedUrls, noUrl],
]

describe('no spelling of a forbidden host opens a connection', () => {
  test('there are at least 150 spellings for each policy', () => {
    for (const policy of policies) {
      const spellings = forbidden.flatMap(([, under, literals]) => (under.includes(policy) ? literals : []))
      assert.ok(new Set(spellings).size >= 150, `${policy}: ${new Set(spellings).size}`)
      assert.equal(new Set(spellings).size, spellings.length)
    }
  })

  for (const [what, under, literals, error] of forbidden) {
    for (const policy of under) {
      test(`${what} under ADDRESS_POLICY=${policy}: ${literals.length} spellings`, async (t) => {
        const { port, sockets } = await canary(t)
        const { send } = sender(t, { checkAddress: guard(policy), resolve: resolvesTo('127.0.0.1') })
        for (const scheme of ['http', 'https'] as const) {
          for (const host of literals) {
            const url = hosts.urlOf(scheme, host, port)
            const failure = expectKind(await send(deliveryTo(url)), 'failed')
            assert.equal(failure.reason, 'address', url)
            assert.match(failure.error, error, url)
          }
        }
        assert.equal(sockets.length, 0)
      })
    }
  }

  // Without this, a canary that nothing can reach would prove nothing.
  test('every spelling of this machine reaches the canary where nobody forbids it', async (t) => {
    const { port, sockets } = await canary(t)
    const { send } = sender(t, {
      checkAddress: ({ ip }) => (staysHere(ip) ? null : 'LET THROUGH'),
      resolve: resolvesTo('127.0.0.1'),
    })
    const reachable = [
      ...[...hosts.loopbackLiterals, ...hosts.unspecifiedLiterals, ...hosts.localNames, ...hosts.otherNames],
      ...(hasIpv6() ? [...hosts.loopbackIpv6Literals, ...hosts.unspecifiedIpv6Literals] : []),
    ].filter((host) => hasIpv6() || !host.startsWith('['))
    for (const host of reachable) {
      const had = sockets.length
      const exchange = await send(deliveryTo(hosts.urlOf('http', host, port)))
      assert.equal(expectKind(exchange, 'answered').status, 204, host)
      await closeAll(sockets.slice(had))
    }
    assert.ok(sockets.length > 0)
  })
})

const forbiddenAnswers: [policy: Policy, ...addresses: string[]][] = [
  ['public', '127.0.0.1', '::1', '::ffff:127.0.0.1', '10.0.0.1', '192.168.1.1', 'fd12::1', '100.64.0.1'],
  ['public', '169.254.169.254', '0.0.0.0', '::', '64:ff9b::7f00:1', '2002:7f00:1::', '::127.0.0.1'],
  ['internal', '127.0.0.1', '::1', '::ffff:7f00:1', '169.254.169.254', 'fd00:ec2::254', '64:ff9b::7f00:1'],
  ['internal', '0.0.0.0', '::', '255.255.255.255', 'fe80::1', 'fe80::1%eth0', '::1%lo', '::1%1', '127.1', ''],
  ['loopback', '169.254.169.254', '0.0.0.0', '::', '::ffff:0.0.0.0', 'fe80::1%lo', '2130706433', '0x7f.1'],
  ['loopback', '::1%lo', '2001:0:808:808:0:0:80ff:fffe', '100.100.100.200', '224.0.0.1', '127.0.0.1 '],
]

test('a name that resolves to a forbidden address is refused, alone and among allowed ones', async (t) => {
  const { port, sockets } = await canary(t)
  const good = '127.0.0.2'
  for (const [policy, ...addresses] of forbiddenAnswers) {
    for (const bad of addresses) {
      for (const mixed of [[bad], [good, bad], [bad, good], [good, bad, good]]) {
        const checkAddress = guard(policy, { allow: [`${good}/32`] })
        const { send } = sender(t, { checkAddress, resolve: resolvesTo(...mixed) })
        const failure = expectKind(await send(deliveryTo(`http://hook.test:${port}/`)), 'failed')
        assert.equal(failure.reason, 'address', `${policy}: ${mixed.join()}`)
        assert.doesNotMatch(failure.error, /LET THROUGH/)
      }
    }
  }
  assert.equal(sockets.length, 0)
})

test('no name of a cloud’s metadata is reached, even where all addresses are allowed', async (t) => {
  const { port, sockets } = await canary(t)
  for (const policy of policies) {
    for (const [name, ...addresses] of hosts.metadataNames) {
      const checkAddress = guard(policy, { allow: ['0.0.0.0/0', '::/0', ...addresses.map(only)] })
      const { send } = sender(t, { checkAddress, resolve: resolvesTo(...addresses) })
      const failure = expectKind(await send(deliveryTo(`http://${name}:${port}/latest/meta-data/`)), 'failed')
      assert.match(failure.error, /^address not allowed: .*which is never allowed$/, name)
    }
  }
  assert.equal(sockets.length, 0)
})

const only = (address: string) => `${address}/${address.includes(':') ? 128 : 32}`

test('localhost, as this machine resolves it, is refused', async (t) => {
  const { port, sockets } = await canary(t)
  for (const policy of ['public', 'internal'] as const) {
    const { send } = sender(t, { checkAddress: guard(policy) })
    for (const host of ['localhost', 'LOCALHOST']) {
      const failure = expectKind(await send(deliveryTo(`http://${host}:${port}/`)), 'failed')
      assert.match(failure.error, refusal)
    }
  }
  assert.equal(sockets.length, 0)
})

test('a redirect to a forbidden host is not followed', async (t) => {
  const { port, sockets } = await canary(t)
  const targets = ['127.0.0.1', '[::1]', 'localhost', '0', '2130706433', '[::ffff:7f00:1]', '169.254.169.254']
  const locations = [...targets.map((host) => `http://${host}:${port}/`), `//127.0.0.1:${port}/`]
  let next = ''
  let status = 0
  const receiver = await httpReceiver(t, (response) => {
    response.writeHead(status, { location: next, refresh: `0; url=${next}` }).end()
  })
  const checkAddress = guard('internal', { allow: ['127.0.0.1/32'] })
  const { send } = sender(t, { checkAddress })
  for (status of [300, 301, 302, 303, 305, 307, 308]) {
    for (next of locations) {
      assert.equal(expectKind(await send(deliveryTo(receiver.url)), 'answered').status, status)
    }
  }
  assert.equal(sockets.length, 0)
})

test('a look-up that changes is asked once for each socket, and only what was checked is reached', async (t) => {
  if (!hasIpv6()) return t.skip('no IPv6 on this machine')
  const receiver = await httpReceiver(t, (response) => response.setHeader('connection', 'close').end())
  let reached = 0
  const other = createServer(() => (reached += 1)).listen(receiver.port, '::1')
  await once(other, 'listening')
  t.after(() => other.close())
  let lookUps = 0
  const resolve = () => Promise.resolve(answers(lookUps++ % 2 === 0 ? '127.0.0.1' : '::1'))
  const checkAddress = guard('internal', { allow: ['127.0.0.1/32'] })
  const { send } = sender(t, { checkAddress, resolve })
  const outcomes: string[] = []
  for (let i = 0; i < 20; i += 1) {
    const exchange = await send(deliveryTo(`http://hook.test:${receiver.port}/`))
    outcomes.push(exchange.kind === 'failed' ? exchange.reason : exchange.kind)
  }
  assert.deepEqual([...new Set(outcomes)].sort(), ['address', 'answered'])
  assert.equal(outcomes.filter((outcome) => outcome === 'answered').length, 10)
  assert.equal(lookUps, 20)
  assert.equal(receiver.sockets.length, 10)
  assert.equal(reached, 0)
})

test('any literal that the policy refuses opens no connection, by itself and as a look-up', async (t) => {
  const { port, sockets } = await canary(t)
  const hex = (n: number) => n.toString(16)
  const here = fc.constantFrom(
    '127.0.0.1',
    '127.9.9.9',
    '0.0.0.0',
    '169.254.169.254',
    '10.0.0.1',
    '224.0.0.9',
  )
  const address = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    here,
    here.map((ip) => `::ffff:${ip}`),
    here.map((ip) => `::${ip}`),
    here.map((ip) => `64:ff9b::${ip}`),
    here.map((ip) => {
      const [a, b, c, d] = ip.split('.').map(Number) as [number, number, number, number]
      return `2002:${hex(a * 256 + b)}:${hex(c * 256 + d)}::1`
    }),
  )
  let refused = 0
  await fc.assert(
    fc.asyncProperty(address, fc.constantFrom<Policy>('public', 'internal'), async (ip, policy) => {
      const { check } = createAddressPolicy({ policy, allow: [], deny: [] })
      fc.pre(check(ip) !== null)
      refused += 1
      for (const host of [ip.includes(':') ? `[${ip}]` : ip, 'hook.test']) {
        const one = sender(t, { checkAddress: guard(policy), resolve: resolvesTo(ip) })
        const failure = expectKind(await one.send(deliveryTo(`http://${host}:${port}/`)), 'failed')
        assert.match(failure.error, refusal)
        await one.close()
      }
    }),
    { numRuns: 200 },
  )
  assert.ok(refused >= 200)
  assert.equal(sockets.length, 0)
})
