import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import test, { type TestContext } from 'node:test'
import { Worker } from 'node:worker_threads'
import type { Exchange } from '../../src/delivery/exchange.ts'
import { bytesReceiver, closed, deliveryTo, expectKind, onRequest, sender, tcpReceiver } from './receivers.ts'

const TIMEOUT_MS = 300
// Ten per cent over the deadline is what is promised; the rest is for a machine that is busy with other
// tests.
const LATEST_MS = TIMEOUT_MS * 1.1 + 250
const limits = { timeout: 5_000 }

function assertAtDeadline({ durationMs }: Exchange) {
  assert.ok(durationMs >= TIMEOUT_MS - 2 && durationMs <= LATEST_MS, `${durationMs} ms`)
}

const silent: [name: string, scheme: string, during: RegExp][] = [
  ['a receiver that never answers', 'http', /^timed out after 300 ms while waiting for headers$/],
  ['a TLS server that never answers', 'https', /^timed out after 300 ms while in the TLS handshake$/],
]

for (const [name, scheme, error] of silent) {
  test(`${name} is cut at the deadline, and its socket closed`, limits, async (t) => {
    const receiver = await tcpReceiver(t)
    const url = receiver.url.replace('http', scheme)
    const failure = expectKind(await sender(t, { timeoutMs: TIMEOUT_MS }).send(deliveryTo(url)), 'failed')
    assert.equal(failure.reason, 'timeout')
    assert.match(failure.error, error)
    assertAtDeadline(failure)
    receiver.sockets[0]?.resume()
    await closed(receiver.sockets[0])
  })
}

const drips: [name: string, start: string, drip: string][] = [
  ['drips headers', 'HTTP/1.1 200 OK\r\n', 'x-drip: 1\r\n'],
  ['drips one header', 'HTTP/1.1 200 OK\r\nx-drip: ', 'x'],
  ['drips its status line', 'HTTP/1.1 200 ', 'OK '],
  ['drips interim answers', '', 'HTTP/1.1 102 Processing\r\n\r\n'],
  ['drips 100 Continue', '', 'HTTP/1.1 100 Continue\r\n\r\n'],
]

for (const [name, start, drip] of drips) {
  test(`a receiver that ${name} is cut at the deadline`, limits, async (t) => {
    const receiver = await tcpReceiver(t, (socket) => {
      socket.write(start)
      every(20, socket, () => socket.write(drip))
      socket.resume()
    })
    const failure = expectKind(
      await sender(t, { timeoutMs: TIMEOUT_MS }).send(deliveryTo(receiver.url)),
      'failed',
    )
    assert.equal(failure.reason, 'timeout')
    assertAtDeadline(failure)
    await closed(receiver.sockets[0])
  })
}

test('a receiver that never reads a large body is cut at the deadline', limits, async (t) => {
  const receiver = await tcpReceiver(t, (socket) => socket.pause())
  const payload = JSON.stringify('x'.repeat(20_000_000))
  const { send } = sender(t, { timeoutMs: TIMEOUT_MS })
  const failure = expectKind(await send(deliveryTo(receiver.url, { payload })), 'failed')
  assert.equal(failure.reason, 'timeout')
  assertAtDeadline(failure)
  receiver.sockets[0]?.resume()
  await closed(receiver.sockets[0])
})

test('a receiver whose queue is full is cut at the deadline while connecting', limits, async (t) => {
  const port = await fullQueue(t)
  const { send } = sender(t, { timeoutMs: TIMEOUT_MS })
  const failure = expectKind(await send(deliveryTo(`http://127.0.0.1:${port}/`)), 'failed')
  assert.equal(failure.reason, 'timeout')
  assert.equal(failure.error, 'timed out after 300 ms while connecting')
  assertAtDeadline(failure)
  await new Promise((resolve) => setImmediate(resolve))
  assert.ok(!process.getActiveResourcesInfo().includes('TCPConnectWrap'))
})

/** A listener that never accepts, with its queue filled: the kernel leaves further connections unanswered. */
async function fullQueue(t: TestContext): Promise<number> {
  const listener = new Worker(
    `const { parentPort } = require('node:worker_threads')
     const server = require('node:net').createServer()
     server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
       parentPort.postMessage(server.address().port)
       setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0))
     })`,
    { eval: true },
  )
  const [port] = (await once(listener, 'message')) as [number]
  await new Promise((resolve) => setTimeout(resolve, 50))
  const fillers = [0, 1].map(() => connect(port, '127.0.0.1').on('error', () => undefined))
  await Promise.all(fillers.map((filler) => once(filler, 'connect')))
  t.after(async () => {
    for (const filler of fillers) filler.destroy()
    await listener.terminate()
  })
  return port
}

test('a name whose look-up hangs is cut at the deadline', limits, async (t) => {
  const resolve = () => new Promise<never>(() => undefined)
  const { send } = sender(t, { timeoutMs: TIMEOUT_MS, resolve })
  const failure = expectKind(await send(deliveryTo('http://slow.test/')), 'failed')
  assert.equal(failure.error, 'timed out after 300 ms while resolving the name')
  assertAtDeadline(failure)
})

const OK = 'HTTP/1.1 200 OK\r\n'
const stalls: [name: string, answer: string, response: string][] = [
  ['sends headers and no body', `${OK}Content-Length: 100\r\n\r\n`, ''],
  ['stalls in its body', `${OK}Content-Length: 100\r\n\r\npart`, 'part'],
  ['stalls in a chunk', `${OK}Transfer-Encoding: chunked\r\n\r\n9\r\npart`, 'part'],
  ['never closes a body without a length', `${OK}\r\npart`, 'part'],
]

for (const [name, answer, response] of stalls) {
  test(`a receiver that ${name} has answered, at the deadline`, limits, async (t) => {
    const receiver = await bytesReceiver(t, answer)
    const exchange = await sender(t, { timeoutMs: TIMEOUT_MS }).send(deliveryTo(receiver.url))
    assert.equal(expectKind(exchange, 'answered').status, 200)
    assert.equal(expectKind(exchange, 'answered').response, response)
    assertAtDeadline(exchange)
    await closed(receiver.sockets[0])
  })
}

test('a body that never ends holds the exchange for 2 KiB only', limits, async (t) => {
  const receiver = await tcpReceiver(t, (socket) => {
    onRequest(socket, () => {
      socket.write(`${OK}Transfer-Encoding: chunked\r\n\r\n`)
      const more = () => {
        while (!socket.destroyed && socket.write(`400\r\n${'x'.repeat(1024)}\r\n`));
      }
      socket.on('drain', more)
      more()
    })
  })
  const exchange = expectKind(await sender(t).send(deliveryTo(receiver.url)), 'answered')
  assert.equal(exchange.response, 'x'.repeat(2048))
  assert.ok(exchange.durationMs < 1_000)
  await closed(receiver.sockets[0])
})

test('the rest of a body that drips is dropped soon after its 2 KiB', limits, async (t) => {
  const receiver = await tcpReceiver(t, (socket) => {
    onRequest(socket, () => {
      socket.write(`${OK}Content-Length: 1000000\r\n\r\n${'x'.repeat(2048)}`)
      every(20, socket, () => socket.write('x'))
    })
  })
  const exchange = await sender(t, { timeoutMs: TIMEOUT_MS }).send(deliveryTo(receiver.url))
  assert.ok(exchange.durationMs < TIMEOUT_MS - 20, `${exchange.durationMs} ms`)
  await closed(receiver.sockets[0])
})

test('a delivery may have a deadline of its own', limits, async (t) => {
  const receiver = await tcpReceiver(t)
  const exchange = await sender(t).send(deliveryTo(receiver.url, { timeoutMs: TIMEOUT_MS }))
  assert.equal(expectKind(exchange, 'failed').error, 'timed out after 300 ms while waiting for headers')
  assertAtDeadline(exchange)
})

test('a deadline longer than a timer can be is not at once', limits, async (t) => {
  const receiver = await bytesReceiver(t, `${OK}Content-Length: 0\r\n\r\n`)
  const { send } = sender(t, { timeoutMs: 30 * 24 * 60 * 60 * 1000 })
  assert.equal((await send(deliveryTo(receiver.url))).kind, 'answered')
})

function every(ms: number, socket: { once(event: 'close', listener: () => void): unknown }, act: () => void) {
  const timer = setInterval(act, ms)
  socket.once('close', () => clearInterval(timer))
}
