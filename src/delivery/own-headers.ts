import { validateHeaderName, validateHeaderValue } from 'node:http'

/** What frames the request, or names it: an endpoint's own headers cannot change that. */
const OURS: ReadonlySet<string> = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'user-agent',
])

/** Whether an endpoint may have a request header of this name: case does not count. */
export function isOwnHeaderName(name: string): boolean {
  const lower = name.toLowerCase()
  return isValid(() => validateHeaderName(name)) && !OURS.has(lower) && !lower.startsWith('webhook-')
}

/** Node sends what is latin1; what else HTTP forbids is a line break or another control character. */
export function isHeaderValue(value: string): boolean {
  return isValid(() => validateHeaderValue('x', value))
}

/** The name of the first header that cannot be sent, or null. SQL may have stored anything. */
export function firstInvalidHeader(headers: Record<string, string>): string | null {
  return (
    Object.entries(headers).find(([name, value]) => !isOwnHeaderName(name) || !isHeaderValue(value))?.[0] ??
    null
  )
}

function isValid(validate: () => void): boolean {
  try {
    validate()
    return true
  } catch {
    return false
  }
}
