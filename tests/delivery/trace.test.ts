import assert from 'node:assert/strict'
import { after, beforeEach, describe, test, type TestContext } from 'node:test'
import { SpanKind, SpanStatusCode, trace, type TracerProvider } from '@opentelemetry/api'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { createSender, type Delivery } from '../../src/delivery/send.ts'
import { isTraceparent } from '../../src/delivery/trace.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createReceiver, type Answer } from '../support/receiver.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const parentId = '00f067aa0ba902b7'
const given = `00-${traceId}-${parentId}-01`

/** What a receiver got as traceparent. */
async function sent(t: TestContext, delivery: Partial<Delivery>, answer?: Answer) {
  const hooks = await createReceiver(answer === undefined ? {} : { answer })
  onCleanup(t, () => hooks.close())
  const sender = createSender({ timeoutMs: 2_000, version: '1.2.3', maxSockets: 1 })
  onCleanup(t, () => sender.close())
  const exchange = await sender.send({
    ...{ url: hooks.url('/secret?token=secret'), eventId: 'event-1', attempt: 3, payload: '{}' },
    ...delivery,
  })
  return { exchange, header: hooks.requests[0]?.headers['traceparent'], raw: hooks.requests[0]?.headers }
}

const malformed = [
  '',
  'x',
  given.toUpperCase(),
  `01-${traceId}-${parentId}-01`,
  `ff-${traceId}-${parentId}-01`,
  `${given}-more`,
  `${given}\n`,
  ` ${given}`,
  `00-${'0'.repeat(32)}-${parentId}-01`,
  `00-${traceId}-${'0'.repeat(16)}-01`,
  `00-${traceId}-${parentId}-1`,
  `${given}\r\nx-injected: 1`,
  'x'.repeat(100_000),
]

test('what is a traceparent', () => {
  assert.ok(isTraceparent(given))
  for (const value of malformed) assert.ok(!isTraceparent(value), JSON.stringify(value.slice(0, 80)))
})

describe('without an OpenTelemetry SDK', () => {
  test('the traceparent is sent on as it is', async (t) => {
    assert.equal((await sent(t, { traceparent: given })).header, given)
    const unsampled = given.replace(/01$/, '00')
    assert.equal((await sent(t, { traceparent: unsampled })).header, unsampled)
  })

  test('there is no header where there is none, or one of another form, and the delivery goes out', async (t) => {
    for (const traceparent of [undefined, ...malformed]) {
      const { header, raw, exchange } = await sent(t, { traceparent })
      assert.deepEqual([header, exchange.kind], [undefined, 'answered'])
      assert.equal(raw!['x-injected'], undefined)
    }
  })

  test('it replaces one that the endpoint has, whatever its case; without it the endpoint has its own', async (t) => {
    for (const name of ['traceparent', 'TraceParent']) {
      const own = given.replace(parentId, 'aaaaaaaaaaaaaaaa')
      assert.equal(
        (await sent(t, { traceparent: given, headers: { [name]: own, 'x-a': 'b' } })).header,
        given,
      )
      assert.equal((await sent(t, { headers: { [name]: own } })).header, own)
    }
  })
})

describe('with an SDK', () => {
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  // Through the API package only, as any SDK of a user's is.
  const register = () => assert.ok(trace.setGlobalTracerProvider(provider))
  after(async () => {
    trace.disable()
    await provider.shutdown()
  })
  beforeEach(() => {
    trace.disable()
    register()
    exporter.reset()
  })
  const onlySpan = () => {
    const [span, ...more] = exporter.getFinishedSpans()
    assert.equal(more.length, 0)
    return span!
  }

  test('an exchange is a span of a client in the trace of the change, and the header names that span', async (t) => {
    const { header } = await sent(t, { traceparent: given })
    const span = onlySpan()
    assert.equal(header, `00-${traceId}-${span.spanContext().spanId}-01`)
    assert.notEqual(span.spanContext().spanId, parentId)
    assert.equal(span.parentSpanContext?.spanId, parentId)
    assert.equal(span.kind, SpanKind.CLIENT)
    assert.equal(span.name, 'POST')
    assert.equal(span.instrumentationScope.name, 'webhook-outbox')
    const { 'server.port': port, ...attributes } = span.attributes
    assert.equal(typeof port, 'number')
    assert.deepEqual(attributes, {
      'http.request.method': 'POST',
      'http.request.resend_count': 2,
      'server.address': '127.0.0.1',
      'url.scheme': 'http',
      'webhook.event_id': 'event-1',
      'http.response.status_code': 200,
    })
    assert.equal(span.status.code, SpanStatusCode.UNSET)
  })

  test('a change without a trace begins one, and so does one whose traceparent is none', async (t) => {
    for (const traceparent of [undefined, 'x']) {
      exporter.reset()
      const { header } = await sent(t, { traceparent })
      const { traceId, spanId } = onlySpan().spanContext()
      assert.equal(header, `00-${traceId}-${spanId}-01`)
      assert.equal(onlySpan().parentSpanContext, undefined)
    }
  })

  test('a failure is an error of its span, with its status or its reason, and without a secret', async (t) => {
    await sent(t, {}, { status: 503 })
    assert.equal(onlySpan().status.code, SpanStatusCode.ERROR)
    assert.equal(onlySpan().attributes['error.type'], '503')
    exporter.reset()
    await sent(t, {}, 'reset')
    assert.equal(onlySpan().attributes['error.type'], 'network')
    assert.equal(onlySpan().status.code, SpanStatusCode.ERROR)
    const { status, attributes } = onlySpan()
    assert.ok(!JSON.stringify({ status, attributes }).includes('secret'))
  })

  test('one that throws keeps nothing from being sent', async (t) => {
    const broken = () => {
      throw new Error('broken')
    }
    for (const startSpan of [
      broken,
      () => ({
        ...trace.wrapSpanContext({ traceId, spanId: parentId, traceFlags: 1 }),
        spanContext: () => ({ traceId, spanId: parentId, traceFlags: 1 }),
        setAttribute: broken,
        end: broken,
      }),
    ]) {
      trace.disable()
      trace.setGlobalTracerProvider({ getTracer: () => ({ startSpan }) } as unknown as TracerProvider)
      assert.equal((await sent(t, { traceparent: given })).exchange.kind, 'answered')
    }
  })
})
