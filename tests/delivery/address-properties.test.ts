import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { createAddressPolicy } from '../../src/delivery/address-policy.ts'
import {
  bitsOf,
  groups,
  mayBeReached,
  metadata4,
  metadata6,
  type Net,
  type Sample,
} from './address-reference.ts'

const policy = fc.constantFrom('public', 'internal', 'loopback')
const bits = (count: number) => fc.bigInt({ min: 0n, max: (1n << BigInt(count)) - 1n })

// A random address hardly ever meets the edge of a block.
const edges4 = [
  ...[
    '0.0.0.0',
    '10.0.0.0',
    '100.64.0.0',
    '127.0.0.0',
    '169.254.0.0',
    '172.16.0.0',
    '192.0.0.0',
    '192.0.2.0',
  ],
  ...[
    '192.31.196.0',
    '192.52.193.0',
    '192.88.99.0',
    '192.168.0.0',
    '192.175.48.0',
    '198.18.0.0',
    '198.51.100.0',
  ],
  ...[
    '203.0.113.0',
    '224.0.0.0',
    '240.0.0.0',
    '1.0.0.0',
    '11.0.0.0',
    '100.128.0.0',
    '128.0.0.0',
    '169.255.0.0',
  ],
  ...['172.32.0.0', '192.0.1.0', '192.0.3.0', '192.169.0.0', '198.20.0.0', '203.0.114.0'],
].map((dotted) => dotted.split('.').reduce((value, byte) => value * 256n + BigInt(byte), 0n))
const edges6 = [
  ...['0:0:0:0:0:0:0:0', '0:0:0:0:0:0:0:2', '0:0:0:0:0:1:0:0', '64:ff9b:1:0:0:0:0:0', '64:ff9b:2:0:0:0:0:0'],
  ...[
    '100:0:0:0:0:0:0:0',
    '2000:0:0:0:0:0:0:0',
    '2001:0:0:0:0:0:0:0',
    '2001:1:0:0:0:0:0:0',
    '2001:200:0:0:0:0:0:0',
  ],
  ...['2001:db8:0:0:0:0:0:0', '2001:db9:0:0:0:0:0:0', '2003:0:0:0:0:0:0:0', '2620:4f:8000:0:0:0:0:0'],
  ...['2620:4f:8001:0:0:0:0:0', '3fff:0:0:0:0:0:0:0', '3fff:1000:0:0:0:0:0:0', '4000:0:0:0:0:0:0:0'],
  ...['fc00:0:0:0:0:0:0:0', 'fd00:ec2:0:0:0:0:0:0', 'fd00:ec3:0:0:0:0:0:0', 'fe00:0:0:0:0:0:0:0'],
  ...['fe80:0:0:0:0:0:0:0', 'fec0:0:0:0:0:0:0:0', 'ff00:0:0:0:0:0:0:0'],
].map(groups)
const near = (edges: bigint[], size: number) =>
  fc
    .tuple(fc.constantFrom(...edges), fc.bigInt({ min: -2n, max: 2n }), fc.oneof(fc.constant(0n), bits(16)))
    .map(([edge, step, low]) => BigInt.asUintN(size, edge + step + low))

const value4 = fc.oneof(near([...edges4, ...metadata4], 32), bits(32))
const holding4 = fc
  .tuple(value4, value4, fc.oneof(fc.constant(0n), bits(80)))
  .chain(([a, b, low]) =>
    fc.constantFrom(
      (0xffffn << 32n) | a,
      (0xffff0000n << 32n) | a,
      a,
      groups('64:ff9b:0:0:0:0:0:0') | a,
      groups('64:ff9b:1:0:0:0:0:0') | a,
      groups('2002:0:0:0:0:0:0:0') | (a << 80n) | low,
      groups('2001:0:0:0:0:0:0:0') | (a << 64n) | ((low & 0xffffffffn) << 32n) | (b ^ 0xffffffffn),
    ),
  )
const value6 = fc.oneof(
  near([...edges6, ...metadata6], 128),
  holding4,
  bits(125).map((low) => (1n << 125n) | low),
  bits(121).map((low) => (0b1111110n << 121n) | low),
  bits(128),
)
const sample: fc.Arbitrary<Sample> = fc.oneof(
  value4.map((value): Sample => ({ version: 4, value })),
  value6.map((value): Sample => ({ version: 6, value })),
)

const dotted = (value: bigint) => [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.')
const hexGroups = (value: bigint) =>
  Array.from({ length: 8 }, (_, at) => ((value >> BigInt(112 - 16 * at)) & 0xffffn).toString(16))

/** Every way that WHATWG URLs read as this IPv4 address. */
function spelling4(value: bigint): fc.Arbitrary<string> {
  const digits = fc.constantFrom(
    '0123456789',
    '０１２３４５６７８９',
    '⓪①②③④⑤⑥⑦⑧⑨',
    '𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗',
    '⁰¹²³⁴⁵⁶⁷⁸⁹',
  )
  const shape = fc.record({
    parts: fc.integer({ min: 1, max: 4 }),
    radices: fc.array(fc.constantFrom('decimal', 'octal', 'hex', 'HEX'), { minLength: 4, maxLength: 4 }),
    zeros: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 4, maxLength: 4 }),
    digits,
    dot: fc.constantFrom('.', '。', '．', '｡', '%2e'),
    end: fc.constantFrom('', '.'),
    percent: fc.boolean(),
  })
  return shape.map(({ parts, radices, zeros, digits, dot, end, percent }) => {
    const bytes = Array.from({ length: parts - 1 }, (_, at) => (value >> BigInt(24 - 8 * at)) & 0xffn)
    const last = value & ((1n << BigInt(32 - 8 * (parts - 1))) - 1n)
    const texts = [...bytes, last].map((part, at) => {
      const pad = '0'.repeat(zeros[at]!)
      if (radices[at] === 'octal') return `0${pad}${part.toString(8)}`
      if (radices[at] === 'hex') return `0x${pad}${part.toString(16)}`
      if (radices[at] === 'HEX') return `0X${pad}${part.toString(16).toUpperCase()}`
      return part.toString(10)
    })
    const plain = texts.join('.') + end
    const written = [...plain]
      .map((c) => (/\d/.test(c) ? [...digits][Number(c)]! : c === '.' ? dot : c))
      .join('')
    return percent ? encodeURIComponent(written).replaceAll('%252e', '%2e') : written
  })
}

/** Every way to write this IPv6 address: `::` for any run of zeros, leading zeros, capitals, a dotted end. */
function spelling6(value: bigint): fc.Arbitrary<string> {
  const shape = fc.record({
    run: fc.tuple(fc.nat(7), fc.nat(8)),
    pad: fc.boolean(),
    capitals: fc.boolean(),
    dottedEnd: fc.boolean(),
  })
  return shape.map(({ run: [start, length], pad, capitals, dottedEnd }) => {
    const all = hexGroups(value).map((group) => (pad ? group.padStart(4, '0') : group))
    if (dottedEnd) all.splice(6, 2, dotted(value & 0xffffffffn))
    const run = all.slice(start, start + length)
    const zeros = run.length > 0 && run.every((group) => /^0+$/.test(group))
    const text = zeros
      ? `${all.slice(0, start).join(':')}::${all.slice(start + length).join(':')}`
      : all.join(':')
    return capitals ? text.toUpperCase() : text
  })
}

const written = (one: Sample) => (one.version === 4 ? spelling4(one.value) : spelling6(one.value))
const asHost = (one: Sample, text: string) => (one.version === 4 ? text : `[${text}]`)
const plain = (one: Sample) => (one.version === 4 ? dotted(one.value) : hexGroups(one.value).join(':'))

const cidrText = (net: Net) => `${plain(net)}/${net.prefix}`
const nets = fc.array(
  sample.chain((one) => fc.integer({ min: 0, max: bitsOf(one) }).map((prefix): Net => ({ ...one, prefix }))),
  { maxLength: 3 },
)
// A mapped CIDR is the IPv4 one, which the reference leaves out.
const isMapped = (net: Net) => net.version === 6 && net.prefix >= 96 && net.value >> 32n === 0xffffn

test('every spelling of any address is judged as the reference judges its bits', () => {
  const property = fc.property(
    sample.chain((one) => fc.tuple(fc.constant(one), written(one))),
    policy,
    ([one, text], name) => {
      const { check, checkHost } = createAddressPolicy({ policy: name, allow: [], deny: [] })
      const expected = mayBeReached(one, name, [], [])
      assert.equal(check(plain(one)) === null, expected)
      assert.equal(checkHost(new URL(`http://${asHost(one, text)}/`).hostname) === null, expected, text)
      if (one.version === 6) assert.equal(check(text) === null, expected, text)
    },
  )
  fc.assert(property, { numRuns: 5_000 })
})

test('ADDRESS_ALLOW and ADDRESS_DENY are applied as the reference applies them', () => {
  const around = sample.chain((one) =>
    fc.record({
      one: fc.constant(one),
      allow: fc.oneof(nets, fc.constant<Net[]>([{ ...one, prefix: bitsOf(one) }])),
      deny: fc.oneof({ weight: 3, arbitrary: fc.constant<Net[]>([]) }, { weight: 2, arbitrary: nets }),
    }),
  )
  const property = fc.property(around, policy, ({ one, allow, deny }, name) => {
    fc.pre(![...allow, ...deny].some(isMapped))
    const { check } = createAddressPolicy({
      policy: name,
      allow: allow.map(cidrText),
      deny: deny.map(cidrText),
    })
    assert.equal(check(plain(one)) === null, mayBeReached(one, name, allow, deny))
  })
  fc.assert(property, { numRuns: 3_000 })
})

test('the samples meet every verdict', () => {
  const seen = new Map<string, number>()
  const policies = ['public', 'internal', 'loopback'] as const
  const everything: Net[] = [
    { version: 4, value: 0n, prefix: 0 },
    { version: 6, value: 0n, prefix: 0 },
  ]
  for (const one of fc.sample(sample, { numRuns: 3_000, seed: 1 })) {
    const first = policies.find((name) => mayBeReached(one, name, [], []))
    const verdict = first ?? (mayBeReached(one, 'public', everything, []) ? 'allow only' : 'never')
    seen.set(`${one.version} ${verdict}`, (seen.get(`${one.version} ${verdict}`) ?? 0) + 1)
  }
  for (const version of [4, 6]) {
    for (const verdict of [...policies, 'allow only', 'never']) {
      assert.ok(
        (seen.get(`${version} ${verdict}`) ?? 0) >= 5,
        `${version} ${verdict}: ${JSON.stringify([...seen])}`,
      )
    }
  }
})
