import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { classify, isIn, type AddressKind, type Cidr, type IpAddress } from './special-addresses.ts'

/**
 * - `policy`: what is allowed (contract, section 6, ADDRESS_POLICY)
 * - `allow`: CIDRs that are allowed too, but for what is never allowed
 * - `deny`: CIDRs that are not allowed, whatever else is said
 */
export interface AddressPolicyOptions {
  policy: 'public' | 'internal' | 'loopback'
  allow: string[]
  deny: string[]
}

/** Both say why not, in words, or null where it is allowed. */
export interface AddressPolicy {
  /** Judges an address that a socket is about to be opened to. */
  check: (address: string) => string | null
  /**
   * Judges a URL's host without a look-up, as `URL.hostname` gives it. Of names, only those under localhost are
   * judged (RFC 6761, section 6.3); whatever else a name resolves to, `check` judges at the socket.
   */
  checkHost: (hostname: string) => string | null
}

// The shared address space (RFC 6598) belongs to providers, not to their customers: clouds keep services of
// their own there, metadata among them. Who runs a network in it knows, and names it in ADDRESS_ALLOW.
const allowedKinds: Record<AddressPolicyOptions['policy'], readonly AddressKind[]> = {
  public: ['public'],
  internal: ['public', 'private'],
  loopback: ['public', 'private', 'loopback'],
}

/**
 * Decides which addresses webhooks may be sent to. ADDRESS_DENY is asked about an address and every IPv4
 * address inside it; ADDRESS_ALLOW only about the one that is reached, so that no other form of an address is a
 * way around it.
 *
 * @throws where a CIDR is none
 */
export function createAddressPolicy({ policy, allow, deny }: AddressPolicyOptions): AddressPolicy {
  const allowed = allow.map(parseCidr)
  const denied = deny.map(parseCidr)

  function check(text: string): string | null {
    if (isIP(text) === 0) return 'not an IP address'
    // The zone chooses one of this machine's links.
    if (text.includes('%')) return 'an IPv6 address with a zone id is never allowed'
    const address = parseIp(text)
    const { kind, words, means, insides } = classify(address)
    const name = address.toString()
    if (kind === 'never') return `${name} is ${words}, which is never allowed`
    if (denied.some((cidr) => [address, ...insides].some((one) => isIn(one, cidr)))) {
      return `${name} is denied by ADDRESS_DENY`
    }
    if (allowedKinds[policy].includes(kind) || allowed.some((cidr) => isIn(means, cidr))) return null
    return `${name} is ${words}, which neither ADDRESS_POLICY=${policy} nor ADDRESS_ALLOW allows`
  }

  function checkHost(hostname: string): string | null {
    const host = hostname.replace(/^\[(.*)\]$/, '$1')
    if (isIP(host) !== 0) return check(host)
    if (!/(^|\.)localhost\.?$/i.test(host)) return null
    const refusal = check('127.0.0.1')
    if (refusal === null || check('::1') === null) return null
    return `localhost is this machine: ${refusal}`
  }

  return { check, checkHost }
}

function parseIp(text: string): IpAddress {
  // ipaddr.js alone takes "::8.8.8.8", as resolvers print an IPv4-compatible address, for "::ffff:8.8.8.8".
  return ipaddr.parse(isIP(text) === 6 ? new URL(`http://[${text}]/`).hostname.slice(1, -1) : text)
}

/** Whether a text is a CIDR in full: ipaddr.js alone takes "10/8" for 0.0.0.10/8, and 010.0.0.0 as octal. */
export function isCidr(text: string): boolean {
  return ipaddr.isValidCIDR(text) && isIP(text.slice(0, text.indexOf('/'))) !== 0 && !text.includes('%')
}

function parseCidr(text: string): Cidr {
  if (!isCidr(text)) throw new Error(`${text} is no CIDR`)
  const [base, bits] = text.split('/') as [string, string]
  const network = parseIp(base)
  const prefix = Number(bits)
  const mapped = network instanceof ipaddr.IPv6 && network.isIPv4MappedAddress() && prefix >= 96
  return mapped ? [network.toIPv4Address(), prefix - 96] : [network, prefix]
}
