import {
  type Context,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import type { Exchange } from './exchange.ts'

/** W3C Trace Context, section 3.2, of the version that there is. */
const form = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/

/** One exchange as a span of a client. */
export interface ExchangeSpan {
  /** For the header of this name; undefined where there is no trace. */
  traceparent: string | undefined
  end(exchange: Exchange): void
}

/** Whether it can be stored and sent: of the form, and not of zeros only. */
export function isTraceparent(value: string): boolean {
  return contextOf(value) !== ROOT_CONTEXT
}

/**
 * Where the process has an OpenTelemetry SDK, the exchange is a span of its own, in the trace of the change if that has one.
 * Without an SDK the API makes a span that records nothing and has the identity of its parent, so that what the writer set is
 * sent on as it is; anything that is not of the form is dropped. Of the URL only host and port are told.
 */
export function startExchangeSpan(
  target: URL,
  delivery: { eventId: string; attempt: number; traceparent?: string | undefined },
  version: string,
): ExchangeSpan {
  try {
    const span = startSpan(target, delivery, version)
    return { traceparent: headerOf(span), end: (exchange) => quietly(() => end(span, exchange)) }
  } catch {
    // An SDK is somebody else's code, and a trace is worth no delivery.
    return { traceparent: undefined, end: () => undefined }
  }
}

function startSpan(
  target: URL,
  { eventId, attempt, traceparent }: Parameters<typeof startExchangeSpan>[1],
  version: string,
): Span {
  const attributes = {
    'http.request.method': 'POST',
    'http.request.resend_count': attempt - 1,
    'server.address': target.hostname,
    'server.port': Number(target.port || (target.protocol === 'https:' ? 443 : 80)),
    'url.scheme': target.protocol.slice(0, -1),
    'webhook.event_id': eventId,
  }
  // Asked for each time: an SDK may be registered later than this module is loaded.
  const tracer = trace.getTracer('webhook-outbox', version)
  return tracer.startSpan('POST', { kind: SpanKind.CLIENT, attributes }, contextOf(traceparent))
}

function contextOf(traceparent: string | undefined): Context {
  const [, traceId, spanId, flags] = form.exec(traceparent ?? '') ?? []
  if (traceId === undefined) return ROOT_CONTEXT
  const parent = { traceId, spanId: spanId!, traceFlags: Number.parseInt(flags!, 16), isRemote: true }
  return isSpanContextValid(parent) ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT
}

function headerOf(span: Span): string | undefined {
  const context = span.spanContext()
  if (!isSpanContextValid(context)) return undefined
  return `00-${context.traceId}-${context.spanId}-${context.traceFlags.toString(16).padStart(2, '0')}`
}

function end(span: Span, exchange: Exchange): void {
  if (exchange.kind === 'answered') {
    span.setAttribute('http.response.status_code', exchange.status)
    if (exchange.status >= 300) {
      span.setAttribute('error.type', String(exchange.status))
      span.setStatus({ code: SpanStatusCode.ERROR })
    }
  } else {
    span.setAttribute('error.type', exchange.reason)
    span.setStatus({ code: SpanStatusCode.ERROR, message: exchange.error })
  }
  span.end()
}

function quietly(run: () => void): void {
  try {
    run()
  } catch {
    // As above.
  }
}
