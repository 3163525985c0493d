import ipaddr from 'ipaddr.js'

export type IpAddress = ipaddr.IPv4 | ipaddr.IPv6
export type Cidr = [address: IpAddress, prefix: number]

/** Where an address leads. What is `never` is not to be reached by a webhook, whatever is configured. */
export type AddressKind = 'public' | 'private' | 'shared' | 'loopback' | 'never'

/**
 * - `kind`, `words`: of what is reached; `words` continue "10.0.0.1 is …"
 * - `means`: the address that is reached: the IPv4 address inside of an IPv4-mapped or NAT64 form, else the
 *   address itself
 * - `insides`: the IPv4 addresses that it holds
 */
export interface Classified {
  kind: AddressKind
  words: string
  means: IpAddress
  insides: ipaddr.IPv4[]
}

/** Forms of IPv6 that lead to the IPv4 addresses which they hold, and where those stand in the 16 bytes. */
interface Form {
  form: 'mapped' | 'translated' | 'tunnelled'
  words: string
  insides: (bytes: number[]) => number[][]
}

type Block = { cidr: Cidr } & ({ kind: AddressKind; words: string } | Form)

const block = (cidr: string, kind: AddressKind, words: string): Block => ({
  cidr: ipaddr.parseCIDR(cidr),
  kind,
  words,
})
const form = (cidr: string, rest: Form): Block => ({ cidr: ipaddr.parseCIDR(cidr), ...rest })

const metadata = 'a cloud metadata address'
const reserved = 'a reserved address'
const documentation = 'a documentation address'

/**
 * The IANA special-purpose registries, and what clouds answer their machines on outside of link-local. The
 * first block that holds an address counts.
 */
const ipv4Blocks: Block[] = [
  block('169.254.169.254/32', 'never', metadata),
  block('100.100.100.200/32', 'never', metadata), // Alibaba
  block('168.63.129.16/32', 'never', metadata), // Azure
  block('192.0.0.192/32', 'never', metadata), // Oracle
  block('0.0.0.0/8', 'never', 'an unspecified address'),
  block('10.0.0.0/8', 'private', 'a private address'),
  block('100.64.0.0/10', 'shared', 'in the shared address space of carriers'),
  block('127.0.0.0/8', 'loopback', 'a loopback address'),
  block('169.254.0.0/16', 'never', 'a link-local address'),
  block('172.16.0.0/12', 'private', 'a private address'),
  block('192.0.0.0/24', 'never', reserved),
  block('192.0.2.0/24', 'never', documentation),
  block('192.31.196.0/24', 'never', reserved), // AS112
  block('192.52.193.0/24', 'never', reserved), // AMT relays
  block('192.88.99.0/24', 'never', reserved), // 6to4 relays
  block('192.168.0.0/16', 'private', 'a private address'),
  block('192.175.48.0/24', 'never', reserved), // AS112
  block('198.18.0.0/15', 'never', 'a benchmarking address'),
  block('198.51.100.0/24', 'never', documentation),
  block('203.0.113.0/24', 'never', documentation),
  block('224.0.0.0/4', 'never', 'a multicast address'),
  block('255.255.255.255/32', 'never', 'the broadcast address'),
  block('240.0.0.0/4', 'never', reserved),
  block('0.0.0.0/0', 'public', 'a public address'),
]

const ipv6Blocks: Block[] = [
  block('::/128', 'never', 'the unspecified address'),
  block('::1/128', 'loopback', 'the loopback address'),
  block('::/96', 'never', 'an IPv4-compatible address'),
  form('::ffff:0:0/96', { form: 'mapped', words: 'an IPv4-mapped', insides: (bytes) => [bytes.slice(12)] }),
  form('64:ff9b::/96', { form: 'translated', words: 'a NAT64', insides: (bytes) => [bytes.slice(12)] }),
  // Which of its bytes are the IPv4 address is known to the translator only (RFC 8215, RFC 6052).
  block('64:ff9b:1::/48', 'never', 'a NAT64 address of local use'),
  form('2001::/32', {
    form: 'tunnelled',
    words: 'a Teredo',
    insides: (bytes) => [bytes.slice(4, 8), bytes.slice(12).map((byte) => byte ^ 0xff)],
  }),
  form('2002::/16', { form: 'tunnelled', words: 'a 6to4', insides: (bytes) => [bytes.slice(2, 6)] }),
  block('2001::/23', 'never', reserved), // IETF protocols, benchmarking, ORCHID
  block('2001:db8::/32', 'never', documentation),
  block('2620:4f:8000::/48', 'never', reserved), // AS112
  block('3fff::/20', 'never', documentation),
  block('2000::/3', 'public', 'a public address'),
  block('fd00:ec2::/32', 'never', metadata), // Amazon: metadata, credentials, DNS, time
  block('fd20:ce::254/128', 'never', metadata), // Google
  block('fd00:c1::a9fe:a9fe/128', 'never', metadata), // Oracle
  block('fd00:42::42/128', 'never', metadata), // Scaleway
  block('fd00:a9fe:a9fe::1/128', 'never', metadata), // Akamai
  block('fd00:100::100:200/128', 'never', metadata), // Alibaba
  block('fc00::/7', 'private', 'a private address'),
  block('fe80::/10', 'never', 'a link-local address'),
  block('ff00::/8', 'never', 'a multicast address'),
  block('::/0', 'never', reserved),
]

/**
 * - IPv4-mapped: the machine itself makes it the IPv4 address inside, and so does this.
 * - NAT64: a translator elsewhere does. Its loopback is not this machine's, so that is never allowed.
 * - 6to4 and Teredo: packets go into a tunnel to the IPv4 addresses inside, and on to what nobody can know. So
 *   those must be public.
 */
export function classify(address: IpAddress): Classified {
  const found = (address.kind() === 'ipv4' ? ipv4Blocks : ipv6Blocks).find(({ cidr }) => isIn(address, cidr))!
  if ('kind' in found) return { kind: found.kind, words: found.words, means: address, insides: [] }
  const insides = found.insides(address.toByteArray()).map((bytes) => new ipaddr.IPv4(bytes))
  const reached = insides.map(classify)
  const words = (at: number) => `${found.words} form of ${insides[at]!.toString()}, ${reached[at]!.words}`
  switch (found.form) {
    case 'mapped':
      return { ...reached[0]!, words: words(0), means: insides[0]!, insides }
    case 'translated': {
      const kind = reached[0]!.kind === 'loopback' ? 'never' : reached[0]!.kind
      return { kind, words: words(0), means: insides[0]!, insides }
    }
    case 'tunnelled': {
      const at = reached.findIndex(({ kind }) => kind !== 'public')
      if (at < 0) return { kind: 'public', words: words(0), means: address, insides }
      return { kind: 'never', words: words(at), means: address, insides }
    }
    default:
      return found.form satisfies never
  }
}

export function isIn(address: IpAddress, [network, prefix]: Cidr): boolean {
  return address.kind() === network.kind() && address.match(network, prefix)
}
