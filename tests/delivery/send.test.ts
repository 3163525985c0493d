import assert from 'node:assert/strict'
import test from 'node:test'
import { gzipSync } from 'node:zlib'
import {
  bytesReceiver,
  closed,
  deliveryTo,
  expectKind,
  httpReceiver,
  sender,
  tcpReceiver,
} from './receivers.ts'

test('a receiver gets the headers of the contract and no others of ours', async (t) => {
  const receiver = await httpReceiver(t, (response) => response.end())
  const before = Math.floor(Date.now() / 1000)
  await sender(t).send(deliveryTo(`${receiver.url}?a=b#fragment`, { attempt: 3 }))
  const { head } = receiver.requests[0]!
  assert.equal(head.method, 'POST')
  assert.equal(head.url, '/hook?a=b')
  const { 'webhook-timestamp': timestamp, ...headers } = head.headers
  assert.deepEqual(headers, {
    host: `127.0.0.1:${receiver.port}`,
    connection: 'keep-alive',
    'content-length': '7',
    'content-type': 'application/json',
    'user-agent': 'webhook-outbox/1.2.3',
    'webhook-id': '0190a5b4-1111-4222-8333-444455556666',
    'webhook-attempt': '3',
  })
  assert.match(String(timestamp), /^\d+$/)
  assert.ok(Number(timestamp) >= before && Number(timestamp) <= Math.floor(Date.now() / 1000))
})

const payloads: [name: string, payload: string][] = [
  ['unusual white space and key order', '{ "b":1,\n\t"a" : 1.0,"a":2 }'],
  ['emoji and other scripts', '{"text":"😀 déjà vu 日本語 \\u0000 \u2028"}'],
  ['200 KB', JSON.stringify({ text: 'é'.repeat(100_000) })],
]

for (const [name, payload] of payloads) {
  test(`a body with ${name} arrives byte for byte`, async (t) => {
    const receiver = await httpReceiver(t, (response) => response.end())
    const exchange = await sender(t).send(deliveryTo(receiver.url, { payload }))
    assert.equal(expectKind(exchange, 'answered').status, 200)
    assert.ok(receiver.requests[0]!.body.equals(Buffer.from(payload)))
  })
}

test('an answer gives its status, headers, start of the body and times', async (t) => {
  const receiver = await httpReceiver(t, (response) => {
    response.writeHead(503, { 'retry-after': '7', location: '/elsewhere' }).end('over capacity: é')
  })
  const before = Date.now()
  const exchange = expectKind(await sender(t).send(deliveryTo(receiver.url)), 'answered')
  const { startedAt, durationMs, ...rest } = exchange
  assert.deepEqual(rest, {
    kind: 'answered',
    status: 503,
    response: 'over capacity: é',
    retryAfter: '7',
    location: '/elsewhere',
  })
  assert.ok(startedAt.getTime() >= before && startedAt.getTime() <= Date.now())
  assert.ok(Number.isInteger(durationMs) && durationMs >= 0 && durationMs <= Date.now() - before + 1)
})

test('sequential sends use one connection', async (t) => {
  const receiver = await httpReceiver(t, (response) => response.end('{"ok":true}'))
  const { send } = sender(t)
  for (let i = 0; i < 5; i += 1) await send(deliveryTo(receiver.url))
  assert.equal(receiver.requests.length, 5)
  assert.equal(receiver.sockets.length, 1)
})

test('answers of 20 KB leave the connection in use, and are cut to 2 KiB', async (t) => {
  const receiver = await httpReceiver(t, (response) => response.end('x'.repeat(20_000)))
  const { send } = sender(t)
  for (let i = 0; i < 3; i += 1) {
    const exchange = expectKind(await send(deliveryTo(receiver.url)), 'answered')
    assert.equal(exchange.response, 'x'.repeat(2048))
  }
  assert.equal(receiver.sockets.length, 1)
})

test('a character that the 2 KiB split is left out', async (t) => {
  const receiver = await httpReceiver(t, (response) => response.end('x'.repeat(2047) + '😀'.repeat(10)))
  const exchange = await sender(t).send(deliveryTo(receiver.url))
  assert.equal(expectKind(exchange, 'answered').response, 'x'.repeat(2047))
})

test('a redirect is answered, not followed', async (t) => {
  const canary = await tcpReceiver(t)
  for (const status of [301, 302, 303, 307, 308]) {
    const receiver = await httpReceiver(t, (response) =>
      response.writeHead(status, { location: canary.url }).end(),
    )
    const exchange = expectKind(await sender(t).send(deliveryTo(receiver.url)), 'answered')
    assert.equal(exchange.status, status)
    assert.equal(exchange.location, canary.url)
  }
  assert.equal(canary.sockets.length, 0)
})

test('NUL bytes and broken UTF-8 in an answer become storable', async (t) => {
  const body = Buffer.from([0x61, 0x00, 0xff, 0xed, 0xa0, 0x80, 0x62])
  const receiver = await bytesReceiver(t, 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n', body)
  const { response } = expectKind(await sender(t).send(deliveryTo(receiver.url)), 'answered')
  assert.ok(response.startsWith('a\uFFFD\uFFFD') && response.endsWith('b'))
  assert.ok(response.isWellFormed() && !response.includes('\0'))
})

test('a compressed answer is kept as it came', async (t) => {
  const bomb = gzipSync(Buffer.alloc(10_000_000))
  const receiver = await httpReceiver(t, (response) => {
    response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': bomb.length }).end(bomb)
  })
  const { response } = expectKind(await sender(t).send(deliveryTo(receiver.url)), 'answered')
  assert.ok(response.length <= 2048)
  assert.equal(response.charCodeAt(0), 0x1f)
})

const refused: [name: string, url: string, error: RegExp][] = [
  ['no URL', 'secret', /not a URL/],
  ['an empty URL', '', /not a URL/],
  ['a host that is none', 'http://[secret/', /not a URL/],
  ['another scheme', 'ftp://127.0.0.1/secret', /scheme/],
  ['javascript:', 'javascript:secret', /scheme/],
  ['file:', 'file:///secret', /scheme/],
  ['credentials', 'http://user:secret@127.0.0.1:PORT/', /credentials/],
  ['a user only', 'http://secret@127.0.0.1:PORT/', /credentials/],
]

for (const [name, url, error] of refused) {
  test(`${name}: nothing is sent, and the error does not quote the URL`, async (t) => {
    const canary = await tcpReceiver(t)
    const exchange = await sender(t).send(deliveryTo(url.replace('PORT', String(canary.port))))
    const failure = expectKind(exchange, 'failed')
    assert.equal(failure.reason, 'address')
    assert.match(failure.error, error)
    assert.ok(!failure.error.includes('secret'))
    assert.equal(canary.sockets.length, 0)
  })
}

test('an abort by the caller ends a send and its socket', async (t) => {
  const receiver = await tcpReceiver(t, () => caller.abort())
  const caller = new AbortController()
  const failure = expectKind(await sender(t).send(deliveryTo(receiver.url), caller.signal), 'failed')
  assert.equal(failure.reason, 'network')
  assert.match(failure.error, /^aborted/)
  await closed(receiver.sockets[0])
})

test('an abort before the start opens no socket', async (t) => {
  const receiver = await tcpReceiver(t)
  const failure = expectKind(await sender(t).send(deliveryTo(receiver.url), AbortSignal.abort()), 'failed')
  assert.match(failure.error, /^aborted/)
  assert.equal(receiver.sockets.length, 0)
})

test('an abort after the final status line keeps the status', async (t) => {
  const caller = new AbortController()
  const receiver = await httpReceiver(t, (response) => response.write('part'))
  const sending = sender(t).send(deliveryTo(receiver.url), caller.signal)
  while (receiver.sockets[0] === undefined || receiver.sockets[0].bytesWritten === 0) await tick()
  for (let i = 0; i < 20; i += 1) await tick()
  caller.abort()
  const exchange = expectKind(await sending, 'answered')
  assert.equal(exchange.status, 200)
  assert.equal(exchange.response, 'part')
  await closed(receiver.sockets[0])
})

const tick = () => new Promise((resolve) => setImmediate(resolve))

test('a sender that is closed ends what is under way, and its sockets', async (t) => {
  const receiver = await tcpReceiver(t, () => void closing())
  const made = sender(t)
  const closing = () => made.close()
  const failure = expectKind(await made.send(deliveryTo(receiver.url)), 'failed')
  assert.match(failure.error, /^aborted/)
  await closed(receiver.sockets[0])
  const after = expectKind(await made.send(deliveryTo(receiver.url)), 'failed')
  assert.match(after.error, /^aborted/)
})
