import { hash } from 'node:crypto'

/**
 * How a URL appears in logs (contract, section 6, LOG_LEVEL): its origin, and the first 12 hex digits of the
 * SHA-256 of the whole URL as it was given. Path, query and credentials never appear. What has no origin is
 * "invalid".
 */
export function urlLabel(url: string): { origin: string; hash: string } {
  return { origin: originOf(url), hash: hash('sha256', url).slice(0, 12) }
}

function originOf(url: string): string {
  const origin = URL.parse(url)?.origin ?? 'null'
  // 'null' is the origin of opaque URLs such as data: and mailto:.
  return origin === 'null' ? 'invalid' : origin
}
