import type { AddressPolicyOptions } from '../../src/delivery/address-policy.ts'

/**
 * The address policy once more, in another way: on numbers and bits, from the contract and the RFCs, with nothing
 * of src/ nor of ipaddr.js.
 */
export interface Sample {
  version: 4 | 6
  value: bigint
}
export interface Net extends Sample {
  prefix: number
}
type Policy = AddressPolicyOptions['policy']

/** Eight groups in hexadecimal, no shorter form. */
export const groups = (text: string): bigint =>
  text.split(':').reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n)

export const metadata4 = [0xa9fea9fen, 0x646464c8n, 0xa83f8110n, 0xc00000c0n]
export const metadata6 = [
  groups('fd20:ce:0:0:0:0:0:254'),
  groups('fd00:c1:0:0:0:0:a9fe:a9fe'),
  groups('fd00:42:0:0:0:0:0:42'),
  groups('fd00:a9fe:a9fe:0:0:0:0:1'),
  groups('fd00:100:0:0:0:0:100:200'),
]
const never24 = [0xc00000n, 0xc00002n, 0xc01fc4n, 0xc034c1n, 0xc05863n, 0xc0af30n, 0xc63364n, 0xcb0071n]

const ALLOW_ONLY = 3
const NEVER = 4

/** 0 where `public` allows it, 1 from `internal` on, 2 for `loopback`; 3 by ADDRESS_ALLOW only, 4 never. */
function rank4(value: bigint): number {
  const top = (bits: number) => value >> BigInt(32 - bits)
  if (metadata4.includes(value) || never24.includes(top(24))) return NEVER
  if (top(8) === 0n || top(16) === 0xa9fen || top(15) === 0x6309n || top(3) === 0b111n) return NEVER
  if (top(8) === 0x0an || top(12) === 0xac1n || top(16) === 0xc0a8n) return 1
  if (top(10) === 0b0110010001n) return ALLOW_ONLY
  return top(8) === 0x7fn ? 2 : 0
}

function rank6(value: bigint): number {
  const top = (bits: number) => value >> BigInt(128 - bits)
  const { tunnel, inner } = read(value)
  if (tunnel) return inner.every((one) => rank4(one) === 0) ? 0 : NEVER
  if (top(96) === 0xffffn) return rank4(inner[0]!)
  if (inner.length > 0) return rank4(inner[0]!) === 2 ? NEVER : rank4(inner[0]!)
  if (value === 1n) return 2
  if (top(3) === 0b001n) {
    const special = top(23) === 0x20010000n >> 9n || top(32) === 0x20010db8n || top(20) === 0x3fff0n
    return special || top(48) === 0x2620_004f_8000n ? NEVER : 0
  }
  if (top(7) !== 0b1111110n || top(32) === 0xfd000ec2n || metadata6.includes(value)) return NEVER
  return 1
}

/** The IPv4 addresses inside an IPv6 one, and whether a tunnel leads to them. */
function read(value: bigint): { tunnel: boolean; inner: bigint[] } {
  const part = (shift: bigint) => (value >> shift) & 0xffffffffn
  if (value >> 112n === 0x2002n) return { tunnel: true, inner: [part(80n)] }
  if (value >> 96n === 0x20010000n) return { tunnel: true, inner: [part(64n), part(0n) ^ 0xffffffffn] }
  const translated = value >> 32n === 0xffffn || value >> 32n === groups('0:0:64:ff9b:0:0:0:0')
  return { tunnel: false, inner: translated ? [part(0n)] : [] }
}

export const bitsOf = ({ version }: Pick<Sample, 'version'>): number => (version === 4 ? 32 : 128)

function inNet(one: Sample, net: Net): boolean {
  const shift = BigInt(bitsOf(net) - net.prefix)
  return one.version === net.version && one.value >> shift === net.value >> shift
}

/** Whether a webhook may be sent there. */
export function mayBeReached(one: Sample, policy: Policy, allow: Net[], deny: Net[]): boolean {
  const { tunnel, inner } = one.version === 6 ? read(one.value) : { tunnel: false, inner: [] }
  const rank = one.version === 4 ? rank4(one.value) : rank6(one.value)
  const inside = inner.map((value): Sample => ({ version: 4, value }))
  const reached = !tunnel && inside.length > 0 ? inside[0]! : one
  if (rank === NEVER) return false
  if ([one, ...inside].some((form) => deny.some((net) => inNet(form, net)))) return false
  return (
    rank <= ['public', 'internal', 'loopback'].indexOf(policy) || allow.some((net) => inNet(reached, net))
  )
}
