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

/** Whether no endpoint can have a request header of this name as its own; case does not count. */
export function isReservedHeader(name: string): boolean {
  const lower = name.toLowerCase()
  return OURS.has(lower) || lower.startsWith('webhook-')
}

/** The name of the first header that cannot be sent, or null. SQL may have stored anything. */
export function firstInvalidHeader(headers: Record<string, string>): string | null {
  for (const [name, value] of Object.entries(headers)) {
    if (isReservedHeader(name) || !isValid(() => validateHeader(name, value))) return name
  }
  return null
}

function validateHeader(name: string, value: string): void {
  validateHeaderName(name)
  validateHeaderValue(name, value)
}

function isValid(validate: () => void): boolean {
  try {
    validate()
    return true
  } catch {
    return false
  }
}
