import { STATUS_CODES } from 'node:http'
import type { Answered, Exchange } from './exchange.ts'
import { parseRetryAfter } from './retry-after.ts'

/**
 * What an exchange means for its event.
 *
 * - `waitAtLeastMs`: what the receiver's Retry-After asks for, or null; the retry schedule may say later,
 *   never earlier
 * - `pauseEndpoint`: the receiver is gone (410), and what else is owed to it waits
 */
export type Verdict =
  | { kind: 'delivered' }
  | { kind: 'retry'; error: string; waitAtLeastMs: number | null }
  | { kind: 'dead'; error: string; pauseEndpoint?: true }

/** Judges an exchange by the table of contract, section 3. Errors read like "503 Service Unavailable". */
export function judge(exchange: Exchange): Verdict {
  switch (exchange.kind) {
    case 'answered':
      return judgeAnswer(exchange)
    case 'failed':
      return exchange.reason === 'address'
        ? { kind: 'dead', error: exchange.error }
        : { kind: 'retry', error: exchange.error, waitAtLeastMs: null }
    default:
      return exchange satisfies never
  }
}

function judgeAnswer(answer: Answered): Verdict {
  const { status } = answer
  const error = statusLine(status)
  if (status >= 200 && status <= 299) return { kind: 'delivered' }
  if (status >= 300 && status <= 399)
    return { kind: 'dead', error: `${error}: ${describeRedirect(answer.location)}` }
  if (status === 410) return { kind: 'dead', error, pauseEndpoint: true }
  if (status >= 400 && status <= 499 && !MEANS_LATER.has(status)) return { kind: 'dead', error }
  const answeredAt = new Date(answer.startedAt.getTime() + answer.durationMs)
  return { kind: 'retry', error, waitAtLeastMs: parseRetryAfter(answer.retryAfter, answeredAt) }
}

const MEANS_LATER: ReadonlySet<number> = new Set([408, 425, 429])

function statusLine(status: number): string {
  const phrase = STATUS_CODES[status]
  return phrase === undefined ? `${status} (unknown status)` : `${status} ${phrase}`
}

const SAME_ORIGIN = 'http://same.invalid'

// Only an origin is named: a Location's path and query may hold secrets.
function describeRedirect(location: string | null): string {
  if (location === null) return 'redirects are not followed (no Location)'
  const target = URL.parse(location, SAME_ORIGIN)
  if (target === null) return 'redirects are not followed (the Location cannot be read)'
  if (target.origin === SAME_ORIGIN) return 'redirects are not followed (to the same origin)'
  if (URL.canParse(location)) {
    const where = target.origin === 'null' ? target.protocol : target.origin
    return `redirects are not followed (to ${where})`
  }
  return `redirects are not followed (to //${target.host})`
}
