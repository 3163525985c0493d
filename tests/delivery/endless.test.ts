import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import test, { after, before, type TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import { judge } from '../../src/delivery/verdict.ts'
import { localhost } from './certificates.ts'
import { startMeasuredSender, type MeasuredSender } from './memory.ts'
import { httpReceiver, onRequest, tcpReceiver, tlsReceiver } from './receivers.ts'

/**
 * Receivers that send as much as they can, for as long as they are let, to as many exchanges at once as an endpoint may
 * have. They may cost 50 MB; each is over at its deadline, or before, and takes little of the time of
 * others.
 */
const MAX_BYTES = 50 * 1024 * 1024
const AT_ONCE = 16
const TIMEOUT_MS = 1_000
const LATEST_MS = TIMEOUT_MS * 1.1 + 400
const MAX_CPU_MS = 300
const limits = { timeout: 20_000 }

let sender: MeasuredSender
let warm = false
before(async () => {
  sender = await startMeasuredSender()
})
after(() => sender.close())

/** What the memory of the sender is measured from: it has sent, over TLS too. */
async function warmUp(t: TestContext): Promise<void> {
  if (warm) return
  warm = true
  const receivers = [
    await httpReceiver(t, (response) => response.end('x'.repeat(60_000))),
    await tlsReceiver(t, localhost),
  ]
  for (let round = 0; round < 40; round += 1) {
    const { url } = receivers[round % 2]!
    await sender.measure({ url, count: 32, timeoutMs: 5_000 })
  }
}

/** Writes without an end, as fast as it is read. */
function pour(socket: Socket, start: string | Buffer, more: string | Buffer): void {
  socket.write(start)
  const chunk = Buffer.from(more)
  const large = Buffer.concat(Array.from({ length: Math.ceil(65_536 / chunk.length) }, () => chunk))
  const go = () => {
    while (!socket.destroyed && socket.write(large));
  }
  socket.on('drain', go)
  go()
}

const OK = 'HTTP/1.1 200 OK\r\n'
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`
const streams: [name: string, start: string, more: string | Buffer, verdict: 'delivered' | 'retry'][] = [
  ['a body until the connection closes', `${OK}\r\n`, 'x', 'delivered'],
  ['a body with a huge length', `${OK}Content-Length: 999999999999\r\n\r\n`, 'x', 'delivered'],
  [
    'a body with a length beyond all numbers',
    `${OK}Content-Length: 18446744073709551615\r\n\r\n`,
    'x',
    'delivered',
  ],
  ['chunks', CHUNKED, `400\r\n${'x'.repeat(1024)}\r\n`, 'delivered'],
  ['chunks of one byte', CHUNKED, '1\r\nx\r\n', 'delivered'],
  ['a chunk of a huge size', `${CHUNKED}ffffffffffffff\r\n`, 'x', 'delivered'],
  ['a chunk extension', `${CHUNKED}1;x=`, 'x', 'delivered'],
  ['chunks with extensions', CHUNKED, `1;${'x'.repeat(1000)}\r\nx\r\n`, 'delivered'],
  ['zeros before the size of a chunk', CHUNKED, '0', 'delivered'],
  ['trailers', `${CHUNKED}0\r\n`, 'x: y\r\n', 'delivered'],
  ['one trailer', `${CHUNKED}0\r\nx: `, 'y', 'delivered'],
  ['empty trailers', `${CHUNKED}0\r\n`, 'x:\r\n', 'delivered'],
  ['a status line', 'HTTP/1.1 200 ', 'x', 'retry'],
  ['a status line with many words', 'HTTP/1.1 200', ' x', 'retry'],
  ['headers', OK, 'x: y\r\n', 'retry'],
  ['headers without values', OK, 'x:\r\n', 'retry'],
  ['cookies', OK, 'set-cookie: a=b\r\n', 'retry'],
  ['one header', `${OK}x: `, 'y', 'retry'],
  ['the name of a header', OK, 'x', 'retry'],
  ['spaces before the value of a header', `${OK}x:`, ' ', 'retry'],
  ['spaces after the value of a header', `${OK}x: y`, ' ', 'retry'],
  ['a folded header', `${OK}x: y\r\n`, ' z\r\n', 'retry'],
  ['a folded header of empty lines', `${OK}x: y\r\n`, ' \r\n', 'retry'],
  ['interim answers', '', 'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n', 'retry'],
  ['an interim answer', 'HTTP/1.1 103 Early Hints\r\n', 'link: </x>\r\n', 'retry'],
  ['the status line of an interim answer', 'HTTP/1.1 100 ', 'x', 'retry'],
  ['empty lines', '', '\r\n', 'retry'],
  ['zeros', '', Buffer.alloc(1), 'retry'],
  ['garbage', '', 'garbage', 'retry'],
]

for (const [name, start, more, verdict] of streams) {
  test(`a receiver that sends ${name} without an end: ${verdict}`, limits, async (t) => {
    const receiver = await tcpReceiver(t, (socket) => onRequest(socket, () => pour(socket, start, more)))
    await assertBounded(t, receiver.url, verdict)
  })
}

test('a receiver that sends without an end before it was asked', limits, async (t) => {
  const receiver = await tcpReceiver(t, (socket) => pour(socket, `${OK}\r\n`, 'x'))
  await assertBounded(t, receiver.url, 'delivered')
})

const secret: typeof streams = [
  ['a body', `${OK}\r\n`, 'x', 'delivered'],
  ['headers', OK, 'x: y\r\n', 'retry'],
  ['empty lines', '', '\r\n', 'retry'],
]

for (const [name, start, more, verdict] of secret) {
  test(`a receiver that sends ${name} without an end over TLS: ${verdict}`, limits, async (t) => {
    const receiver = await tlsReceiver(t, localhost, (socket) =>
      onRequest(socket, () => pour(socket, start, more)),
    )
    await assertBounded(t, receiver.url, verdict)
  })
}

const handshakes: [name: string, start: string, more: Buffer][] = [
  ['garbage', '', Buffer.from('garbage')],
  ['a certificate of 16 MB', '1603033fff0bffffffffffff', Buffer.alloc(1)],
  ['alerts', '', Buffer.from('15030300020100', 'hex')],
  ['empty records', '', Buffer.from('1603030000', 'hex')],
]

for (const [name, start, more] of handshakes) {
  test(`a receiver that sends ${name} without an end for a handshake: retry`, limits, async (t) => {
    const receiver = await tcpReceiver(t, (socket) => pour(socket, Buffer.from(start, 'hex'), more))
    await assertBounded(t, receiver.url.replace('http:', 'https:'), 'retry')
  })
}

test('a gzip bomb is not unpacked', limits, async (t) => {
  const bomb = gzipSync(Buffer.alloc(50_000_000))
  const receiver = await httpReceiver(t, (response) => {
    response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': bomb.length }).end(bomb)
  })
  await assertBounded(t, receiver.url, 'delivered')
})

async function assertBounded(t: TestContext, url: string, verdict: 'delivered' | 'retry') {
  await warmUp(t)
  const result = await sender.measure({ url, count: AT_ONCE, timeoutMs: TIMEOUT_MS })
  assert.equal(result.exchanges.length, AT_ONCE)
  for (const exchange of result.exchanges) {
    assert.equal(judge(exchange).kind, verdict, JSON.stringify(exchange))
    assert.ok(exchange.durationMs <= LATEST_MS, `${exchange.durationMs} ms`)
  }
  assert.ok(result.cpuMs < MAX_CPU_MS, `${result.cpuMs} ms of processor time`)
  assert.ok(result.grewBytes < MAX_BYTES, `${result.grewBytes / 1e6} MB`)
}
