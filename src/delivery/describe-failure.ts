import { errors } from 'undici'
import { Cut } from './cut.ts'
import type { FailureReason } from './exchange.ts'
import { AddressNotAllowed, type Progress } from './open-socket.ts'
import { storableText } from './storable-text.ts'

/** `host` is the URL's host and port. */
export interface FailureContext {
  host: string
  progress: Progress
  timeoutMs: number
}

/**
 * Puts an error of Node or undici into words for an operator. Messages of unknown errors are left out, as
 * they may quote the URL; receivers' own words (a certificate's names) are made storable and cut short.
 */
export function describeFailure(
  error: unknown,
  context: FailureContext,
): { reason: FailureReason; error: string } {
  if (error instanceof Cut) return describeCut(error, context)
  if (error instanceof AddressNotAllowed) {
    return { reason: 'address', error: storableText(`address not allowed: ${error.message}`, 500) }
  }
  const code = codeOf(error)
  if (TLS_CODE.test(code)) return { reason: 'tls', error: storableText(`TLS: ${describeTls(error)}`, 500) }
  if (context.progress.phase === 'in the TLS handshake') {
    return { reason: 'tls', error: `TLS: connection closed during the handshake: ${context.host}` }
  }
  return { reason: 'network', error: describeNetwork(error, code, context.host) }
}

function describeCut(
  cut: Cut,
  { progress, timeoutMs, host }: FailureContext,
): { reason: FailureReason; error: string } {
  switch (cut.why) {
    case 'deadline':
      return { reason: 'timeout', error: `timed out after ${inWords(timeoutMs)} while ${progress.phase}` }
    case 'aborted':
      return { reason: 'network', error: `aborted by this service while ${progress.phase}` }
    case 'closed':
      return { reason: 'network', error: 'aborted: the sender is closed' }
    case 'handshakes':
      return { reason: 'tls', error: `TLS: too many renegotiations: ${host}` }
    case 'interim answers':
      return { reason: 'network', error: 'too many interim answers (1xx)' }
    case 'endless answer':
      return { reason: 'network', error: `the headers of the answer are too large: ${host}` }
    case 'answered':
      return { reason: 'network', error: 'connection closed after the answer' }
    default:
      return cut.why satisfies never
  }
}

function inWords(ms: number): string {
  return ms % 1000 === 0 ? `${ms / 1000} s` : `${ms} ms`
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : ''
}

// OpenSSL's names for a certificate that was refused, and Node's for a handshake that failed.
const TLS_CODE =
  /^(CERT_|CRL_|ERR_TLS_|ERR_SSL_|ERR_OSSL|EPROTO$|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_CA$|INVALID_PURPOSE$|PATH_LENGTH_|HOSTNAME_MISMATCH$)/

function describeTls(error: unknown): string {
  // OpenSSL's `reason` says "wrong version number" where its message adds source files and lines.
  // Node adds advice on its own options to some messages, after a semicolon.
  const { reason, message } = error as { reason?: unknown; message: string }
  return typeof reason === 'string' && !message.startsWith('Hostname') ? reason : message.replace(/;.*/s, '')
}

function describeNetwork(error: unknown, code: string, host: string): string {
  if (error instanceof errors.HTTPParserError) return `the answer is not HTTP: ${host}`
  if (code === 'ENOTFOUND') return `name does not resolve: ${withoutPort(host)}`
  if (code === 'EAI_AGAIN') return `name does not resolve for now: ${withoutPort(host)}`
  const words = NETWORK_WORDS[code]
  return words === undefined ? `network error ${code || '(unknown)'}: ${host}` : `${words}: ${host}`
}

const withoutPort = (host: string) => host.replace(/:\d+$/, '')

const NETWORK_WORDS: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection closed by the receiver',
  ETIMEDOUT: 'no answer to connect',
  UND_ERR_CONNECT_TIMEOUT: 'no answer to connect',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  EADDRNOTAVAIL: 'address not available',
  EMFILE: 'this service has too many open files',
  UND_ERR_SOCKET: 'connection closed without an answer',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'the answer is not HTTP',
  UND_ERR_HEADERS_OVERFLOW: 'the headers of the answer are too large',
  UND_ERR_DESTROYED: 'aborted: the sender is closed',
  UND_ERR_CLOSED: 'aborted: the sender is closed',
}
