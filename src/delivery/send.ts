import { timerMs } from '../timer.ts'
import { Cut } from './cut.ts'
import { describeFailure } from './describe-failure.ts'
import type { Exchange } from './exchange.ts'
import type { Progress } from './open-socket.ts'
import { firstInvalidHeader } from './own-headers.ts'
import { parseTarget } from './parse-target.ts'
import type { Answer } from './read-answer.ts'
import { signatureOf } from './signature.ts'
import { storableText } from './storable-text.ts'
import { startExchangeSpan } from './trace.ts'
import { createTransport, type TransportOptions } from './transport.ts'

/**
 * - `url`: as it is stored, checked here
 * - `attempt`: 1 for the first
 * - `payload`: JSON text, sent byte for byte as UTF-8
 * - `timeoutMs`: instead of the sender's
 * - `headers`: the endpoint's own, beside those that each delivery has (see own-headers.ts)
 * - `secrets`: what this attempt is signed with; absent: it is not
 * - `traceparent`: of the change, as it is stored: dropped where it is of another form (see trace.ts)
 */
export interface Delivery {
  url: string
  eventId: string
  attempt: number
  payload: string
  timeoutMs?: number | undefined
  headers?: Record<string, string> | undefined
  secrets?: readonly string[] | undefined
  traceparent?: string | undefined
}

/**
 * - `timeoutMs`: the deadline of a whole exchange: DNS, connect, TLS, headers and body
 * - `version`: this service's, for the user-agent
 */
export interface SenderOptions extends TransportOptions {
  timeoutMs: number
  version: string
}

/**
 * - `send` POSTs one attempt (contract, section 2) and never rejects. It settles at its deadline whatever the
 *   receiver does. A `signal` that aborts ends it as failed, unless the final status line has come: then that
 *   counts.
 * - `close` ends what is still under way and closes every socket.
 */
export interface Sender {
  send: (delivery: Delivery, signal?: AbortSignal) => Promise<Exchange>
  close: () => Promise<void>
}

const MAX_HEADER_TEXT = 2 * 1024

export function createSender({ timeoutMs: defaultTimeoutMs, version, ...options }: SenderOptions): Sender {
  const transport = createTransport(options)
  const underWay = new Set<AbortController>()

  async function exchange(
    target: URL,
    delivery: Delivery,
    startedAt: Date,
    cut: AbortController,
  ): Promise<Exchange> {
    const headers = headersOf(delivery, startedAt, version)
    if (headers === null) return failed(notSignable, startedAt, 0)
    const timeoutMs = timerMs(delivery.timeoutMs ?? defaultTimeoutMs)
    const startedMs = performance.now()
    const elapsedMs = () => performance.now() - startedMs
    const progress: Progress = { phase: 'waiting for headers' }
    // A timer of ours, as undici's do not reach every stage of an exchange.
    const deadline = setTimeout(() => cut.abort(new Cut('deadline')), timeoutMs)
    try {
      const body = Buffer.from(delivery.payload)
      const remainingMs = () => Math.max(timeoutMs - elapsedMs(), 0)
      const { signal } = cut
      const answer = await transport.post({ url: target, headers, body, signal, progress, remainingMs })
      return answered(answer, startedAt, elapsedMs())
    } catch (error) {
      const failure = describeFailure(error, { host: target.host, progress, timeoutMs })
      return failed(failure, startedAt, elapsedMs())
    } finally {
      clearTimeout(deadline)
    }
  }

  return {
    async send(delivery, signal) {
      const startedAt = new Date()
      const target = parseTarget(delivery.url)
      if (typeof target === 'string') return failed({ reason: 'address', error: target }, startedAt, 0)
      const invalid = delivery.headers === undefined ? null : firstInvalidHeader(delivery.headers)
      if (invalid !== null) return failed(headerNotValid(invalid), startedAt, 0)
      const cut = new AbortController()
      const abort = () => cut.abort(new Cut('aborted'))
      signal?.addEventListener('abort', abort, { once: true })
      if (signal?.aborted) abort()
      underWay.add(cut)
      try {
        const span = startExchangeSpan(target, delivery, version)
        const came = await exchange(target, { ...delivery, traceparent: span.traceparent }, startedAt, cut)
        span.end(came)
        return came
      } finally {
        underWay.delete(cut)
        signal?.removeEventListener('abort', abort)
      }
    },
    async close() {
      for (const cut of underWay) cut.abort(new Cut('closed'))
      await transport.close()
    },
  }
}

/** Null where a secret is none: SQL may have stored it. */
function headersOf(delivery: Delivery, startedAt: Date, version: string): Record<string, string> | null {
  const { headers, traceparent } = delivery
  const signature = signatureHeader(delivery, startedAt)
  if (signature === null) return null
  return {
    ...(traceparent === undefined ? headers : withTrace(headers, traceparent)),
    'content-type': 'application/json',
    'user-agent': `webhook-outbox/${version}`,
    'webhook-id': delivery.eventId,
    'webhook-timestamp': String(Math.floor(startedAt.getTime() / 1000)),
    'webhook-attempt': String(delivery.attempt),
    ...signature,
  }
}

/** An endpoint may have one of its own, for want of a better: under whatever case, there is to be one only. */
function withTrace(headers: Record<string, string> = {}, traceparent: string): Record<string, string> {
  const others = Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'traceparent')
  return { ...Object.fromEntries(others), traceparent }
}

function signatureHeader({ secrets, eventId, payload }: Delivery, at: Date): Record<string, string> | null {
  if (secrets === undefined) return {}
  try {
    return { 'webhook-signature': signatureOf(secrets, { eventId, at, payload }) }
  } catch {
    return null
  }
}

const notSignable = {
  reason: 'network' as const,
  error: 'nothing was sent: a signing secret of its endpoint or project is not valid',
}

// Retried, as an operator may mend it meanwhile.
function headerNotValid(name: string) {
  const error = `nothing was sent: the header ${name} of its endpoint is not valid`
  return { reason: 'network' as const, error: storableText(error, 500) }
}

function answered({ status, headers, response }: Answer, startedAt: Date, elapsedMs: number): Exchange {
  return {
    kind: 'answered',
    status,
    response,
    retryAfter: headerText(headers['retry-after']),
    location: headerText(headers.location),
    startedAt,
    durationMs: Math.round(elapsedMs),
  }
}

// Of a header that came several times, the first counts.
function headerText(value: string | string[] | undefined): string | null {
  const first = Array.isArray(value) ? value[0] : value
  return first === undefined ? null : storableText(first, MAX_HEADER_TEXT)
}

function failed(
  failure: Pick<Extract<Exchange, { kind: 'failed' }>, 'reason' | 'error'>,
  startedAt: Date,
  elapsedMs: number,
): Exchange {
  return { kind: 'failed', ...failure, startedAt, durationMs: Math.round(elapsedMs) }
}
