import assert from 'node:assert/strict'
import test, { describe } from 'node:test'
import { createAddressPolicy, isCidr, type AddressPolicyOptions } from '../../src/delivery/address-policy.ts'
import * as hosts from './forbidden-hosts.ts'

type Policy = AddressPolicyOptions['policy']
const policies: Policy[] = ['public', 'internal', 'loopback']

const create = (policy: Policy, options: { allow?: string[]; deny?: string[] } = {}) =>
  createAddressPolicy({ policy, allow: [], deny: [], ...options })

describe('the first and last address of each block', () => {
  const rows: [allowedUnder: string, addresses: string][] = [
    ['public internal loopback', '1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255'],
    ['public internal loopback', '128.0.0.0 168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0'],
    ['public internal loopback', '172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0'],
    ['public internal loopback', '192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 203.0.114.0'],
    ['public internal loopback', '223.255.255.255 8.8.8.8 ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1'],
    ['public internal loopback', '2001:0:808:808::f7f7:f7f7 2001:200:: 2606:4700::1 2001:db7:ffff::1'],
    ['public internal loopback', '2001:db9:: 2003:: 3ffe::1 3fff:1000:: 2a00:1450::1'],
    ['internal loopback', '10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255'],
    ['internal loopback', '::ffff:10.0.0.1 64:ff9b::10.0.0.1 fc00:: fd00:ec3::1 fd20:ce::253 fd00::2'],
    ['internal loopback', 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['loopback', '127.0.0.0 127.0.0.1 127.255.255.255 ::1 ::ffff:127.0.0.1 ::ffff:7fff:ffff'],
    ['', '0.0.0.0 0.255.255.255 100.64.0.0 100.127.255.255 169.254.0.0 169.254.255.255 198.18.0.0'],
    [
      '',
      '198.19.255.255 224.0.0.0 239.255.255.255 240.0.0.0 255.255.255.255 2001:1ff:ffff:: 3fff:fff:ffff::',
    ],
    ['', '1fff:ffff:: 4000:: fbff:ffff:: fe00:: fe80::1 ff00:: ::8.8.8.8 ::127.0.0.1 ::808:808'],
    ['', '127.1 1 0x7f.0.0.1 010.0.0.1 1.2.3 example.com [::1] ::1%lo 2606:4700::1%eth0 fe80::1%eth0'],
    ['', '8.8.8.8%eth0 ::ffff:8.8.8.8%1 8.8.8.8/32 ::g 1::2::3 8.8.8.8. ::0x1'],
  ]
  for (const [allowedUnder, addresses] of [...rows, ['', ''], ['', '8.8.8.8\t']] as const) {
    for (const address of addresses.split(' ')) {
      test(`"${address}" is allowed under ${allowedUnder || 'no policy'}`, () => {
        for (const policy of policies) {
          assert.equal(
            create(policy).check(address) === null,
            allowedUnder.split(' ').includes(policy),
            policy,
          )
        }
      })
    }
  }
})

describe('a refusal says why', () => {
  for (const [policy, address, reason] of [
    [
      'public',
      '10.0.0.1',
      '10.0.0.1 is a private address, which neither ADDRESS_POLICY=public nor ADDRESS_ALLOW allows',
    ],
    [
      'internal',
      '::1',
      '::1 is the loopback address, which neither ADDRESS_POLICY=internal nor ADDRESS_ALLOW allows',
    ],
    ['loopback', '169.254.169.254', '169.254.169.254 is a cloud metadata address, which is never allowed'],
    [
      'internal',
      '::ffff:127.0.0.1',
      '::ffff:7f00:1 is an IPv4-mapped form of 127.0.0.1, a loopback address, which neither ADDRESS_POLICY=internal nor ADDRESS_ALLOW allows',
    ],
    [
      'loopback',
      '2002:a00:1::',
      '2002:a00:1:: is a 6to4 form of 10.0.0.1, a private address, which is never allowed',
    ],
    [
      'loopback',
      '2001:0:808:808::5601:5601',
      '2001:0:808:808::5601:5601 is a Teredo form of 169.254.169.254, a cloud metadata address, which is never allowed',
    ],
    ['loopback', 'fe80::1%eth0', 'an IPv6 address with a zone id is never allowed'],
    ['loopback', '192.168.1.1', '192.168.1.1 is denied by ADDRESS_DENY'],
    ['loopback', '127.1', 'not an IP address'],
  ] as const) {
    test(address, () => {
      assert.equal(create(policy, { deny: ['192.168.1.0/24'] }).check(address), reason)
    })
  }
})

describe('ADDRESS_ALLOW and ADDRESS_DENY', () => {
  const allowed = (
    options: { allow?: string[]; deny?: string[] },
    address: string,
    policy: Policy = 'public',
  ) => create(policy, options).check(address) === null

  test('allow adds to the policy, also within IPv4-mapped and NAT64 forms', () => {
    const allow = ['10.1.0.0/16', '100.64.0.0/10', '127.0.0.1/32', 'fd12::/16']
    for (const address of [
      '10.1.2.3',
      '::ffff:10.1.2.3',
      '64:ff9b::10.1.2.3',
      '100.64.1.1',
      '127.0.0.1',
      'fd12::1',
    ]) {
      assert.ok(allowed({ allow }, address), address)
    }
    for (const address of [
      '10.2.0.1',
      '127.0.0.2',
      '::1',
      'fd13::1',
      '100.100.100.200',
      '64:ff9b::127.0.0.1',
    ]) {
      assert.ok(!allowed({ allow }, address), address)
    }
  })

  test('allow never lifts what is never allowed', () => {
    for (const policy of policies) {
      const { checkHost } = create(policy, {
        allow: ['0.0.0.0/0', '::/0', '169.254.169.254/32', '2002::/16'],
      })
      for (const literal of [
        ...hosts.neverLiterals,
        ...hosts.unspecifiedLiterals,
        ...hosts.unspecifiedIpv6Literals,
      ]) {
        assert.match(
          String(checkHost(new URL(hosts.urlOf('http', literal, 80)).hostname)),
          /never allowed/,
          literal,
        )
      }
    }
  })

  test('all of IPv6 allowed is no way to IPv4', () => {
    for (const address of [
      '10.0.0.1',
      '::ffff:10.0.0.1',
      '64:ff9b::10.0.0.1',
      '127.0.0.1',
      '::ffff:127.0.0.1',
    ]) {
      assert.ok(!allowed({ allow: ['::/0'] }, address), address)
    }
  })

  test('deny wins over policy and allow, for an address and for every form that holds it', () => {
    const both = { allow: ['8.8.0.0/16', '10.0.0.0/8'], deny: ['8.8.8.0/24', '10.0.0.0/8', '2606::/16'] }
    for (const address of [
      ...['8.8.8.8', '::ffff:8.8.8.8', '64:ff9b::8.8.8.8', '2002:808:808::1', '2001:0:808:808::ffff:ffff'],
      ...['2001:0:101:101::f7f7:f7f7', '10.0.0.1', '2606:4700::1'],
    ]) {
      assert.ok(!allowed(both, address, 'loopback'), address)
    }
    for (const address of ['8.8.9.8', '2002:808:908::1', '2607::1'])
      assert.ok(allowed(both, address), address)
  })

  test('a form as a whole can be denied, and a mapped CIDR is the IPv4 one', () => {
    assert.ok(!allowed({ deny: ['64:ff9b::/96'] }, '64:ff9b::8.8.8.8'))
    assert.ok(!allowed({ deny: ['::/0'] }, '::ffff:8.8.8.8'))
    assert.ok(allowed({ deny: ['::/0'] }, '8.8.8.8'))
    assert.ok(!allowed({ deny: ['::ffff:8.0.0.0/104'] }, '8.8.8.8'))
    assert.ok(allowed({ allow: ['::ffff:10.0.0.0/104'] }, '10.0.0.1'))
  })

  test('what is no CIDR in full is refused', () => {
    for (const cidr of [
      '10/8',
      '10.0.0.0',
      '010.0.0.0/8',
      '0x0a.0.0.0/8',
      '10.0.0.0/33',
      'fe80::1%eth0/64',
      '/8',
      '',
    ]) {
      assert.equal(isCidr(cidr), false, cidr)
      assert.throws(() => create('public', { deny: [cidr] }), /no CIDR/)
    }
    assert.ok(isCidr('10.1.2.3/8'))
    assert.ok(!allowed({ deny: ['9.1.2.3/8'] }, '9.0.0.0'))
  })
})

describe('a host is judged without a look-up', () => {
  test('localhost and names under it, unless loopback can be reached', () => {
    for (const literal of hosts.localNames) {
      const { hostname } = new URL(hosts.urlOf('http', literal, 80))
      for (const policy of ['public', 'internal'] as const) {
        assert.match(
          String(create(policy).checkHost(hostname)),
          /^localhost is this machine: 127\.0\.0\.1 is a loop/,
        )
      }
      assert.equal(create('loopback').checkHost(hostname), null)
      assert.equal(create('public', { allow: ['::1/128'] }).checkHost(hostname), null)
      assert.notEqual(create('loopback', { deny: ['127.0.0.0/8', '::1/128'] }).checkHost(hostname), null)
    }
  })

  test('other names are left to the socket', () => {
    for (const name of [
      'example.com',
      'localhost.example.com',
      'notlocalhost',
      'localhost.localdomain',
      '1.2.3.4.example',
    ]) {
      assert.equal(create('public').checkHost(name), null)
    }
  })
})
