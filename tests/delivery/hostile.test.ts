import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import test from 'node:test'
import { bytesReceiver, closed, deliveryTo, expectKind, onRequest, sender, tcpReceiver } from './receivers.ts'

const limits = { timeout: 10_000 }

test('a refused connection is a network failure that names host and port only', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const failure = expectKind(
    await sender(t).send(deliveryTo(`http://127.0.0.1:${port}/secret?secret`)),
    'failed',
  )
  assert.equal(failure.reason, 'network')
  assert.equal(failure.error, `connection refused: 127.0.0.1:${port}`)
})

test('a name that does not resolve is a network failure', async (t) => {
  const resolve = () => Promise.reject(Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' }))
  const failure = expectKind(
    await sender(t, { resolve }).send(deliveryTo('http://foo.invalid/secret')),
    'failed',
  )
  assert.equal(failure.reason, 'network')
  assert.equal(failure.error, 'name does not resolve: foo.invalid')
})

test('a name that does not resolve on this machine is no answer either', async (t) => {
  const exchange = await sender(t, { timeoutMs: 3_000 }).send(deliveryTo('http://foo.invalid/'))
  // A machine whose name servers are silent takes longer than the deadline.
  assert.match(expectKind(exchange, 'failed').error, /name does not resolve|while resolving the name/)
})

const garbage: [name: string, bytes: string, error: RegExp][] = [
  ['garbage', '\x00\x01\x02 garbage \r\n\r\n', /is not HTTP/],
  ['another protocol', 'SSH-2.0-OpenSSH_9.6\r\n', /is not HTTP/],
  ['a status that is no number', 'HTTP/1.1 abc OK\r\n\r\n', /is not HTTP/],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', /is not HTTP/],
  [
    'huge headers',
    `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(40_000)}\r\n\r\n`,
    /headers of the answer are too large/,
  ],
  [
    'many headers',
    `HTTP/1.1 200 OK\r\n${'x: 12345678\r\n'.repeat(4_000)}\r\n`,
    /headers of the answer are too large/,
  ],
  ['a flood of 103', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(2_000), /interim answers/],
  ['a flood of 100', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(2_000), /interim answers/],
  ['an endless 100', `HTTP/1.1 100 ${'x'.repeat(40_000)}`, /interim answers/],
]

for (const [name, bytes, error] of garbage) {
  test(`${name} instead of an answer is a network failure, and closes the socket`, limits, async (t) => {
    const receiver = await bytesReceiver(t, bytes)
    const failure = expectKind(await sender(t, { timeoutMs: 2_000 }).send(deliveryTo(receiver.url)), 'failed')
    assert.equal(failure.reason, 'network', failure.error)
    assert.match(failure.error, error)
    await closed(receiver.sockets[0])
  })
}

const resets: [name: string, before: string | null][] = [
  ['on connect', null],
  ['after the request', ''],
  ['in the status line', 'HTTP/1.1 2'],
  ['in the headers', 'HTTP/1.1 200 OK\r\nContent-'],
  ['after an interim answer', 'HTTP/1.1 102 Processing\r\n\r\n'],
  ['after 100 Continue', 'HTTP/1.1 100 Continue\r\n\r\n'],
]

for (const end of ['reset', 'closed'] as const) {
  for (const [name, before] of resets) {
    test(`a connection ${end} ${name} is a network failure`, limits, async (t) => {
      const receiver = await tcpReceiver(t, (socket) => {
        const stop = () => void (end === 'reset' ? socket.resetAndDestroy() : socket.end())
        if (before === null) return stop()
        onRequest(socket, () => {
          if (before === '') stop()
          else socket.write(before, stop)
        })
      })
      const failure = expectKind(await sender(t).send(deliveryTo(receiver.url)), 'failed')
      assert.equal(failure.reason, 'network')
      assert.match(failure.error, /connection (reset|closed)|is not HTTP/)
    })
  }

  test(`a connection ${end} in the body has answered`, limits, async (t) => {
    const receiver = await tcpReceiver(t, (socket) => {
      onRequest(socket, () => {
        socket.write('HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\n')
        // Bytes that a reset overtakes may be dropped by the kernel.
        setTimeout(() => (end === 'reset' ? socket.resetAndDestroy() : socket.end()), 50)
      })
    })
    assert.equal(expectKind(await sender(t).send(deliveryTo(receiver.url)), 'answered').status, 503)
  })
}

const OK = 'HTTP/1.1 204 No Content\r\n\r\n'
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'
const unusual: [name: string, status: number, parts: string[]][] = [
  ['100 Continue before the answer', 204, [CONTINUE + OK]],
  ['100 Continue in a packet of its own', 204, [CONTINUE, OK]],
  ['ten 100 Continue with headers', 204, ['HTTP/1.1 100 Continue\r\nx: y\r\n\r\n'.repeat(10), OK]],
  ['100 without a phrase', 204, ['HTTP/1.1 100\r\n\r\n', OK]],
  ['103 Early Hints before the answer', 204, ['HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n', OK]],
  ['100 and 102 before the answer', 204, [CONTINUE, 'HTTP/1.1 102 Processing\r\n\r\n', CONTINUE, OK]],
  [
    '101 that names a protocol',
    101,
    ['HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n'],
  ],
  ['101 that names none', 101, ['HTTP/1.1 101 Switching Protocols\r\n\r\n']],
  ['status 099', 99, ['HTTP/1.1 099 What\r\nContent-Length: 0\r\n\r\n']],
  ['status 999', 999, ['HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n']],
  ['HTTP/1.0', 200, ['HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok']],
  ['no phrase', 200, ['HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n']],
]

for (const [name, status, parts] of unusual) {
  test(`${name} gives status ${status}`, limits, async (t) => {
    const receiver = await tcpReceiver(t, (socket) => {
      onRequest(socket, () => writeApart(socket, parts))
    })
    const { send } = sender(t, { timeoutMs: 2_000 })
    assert.equal(expectKind(await send(deliveryTo(receiver.url)), 'answered').status, status)
  })
}

test(
  '100 Continue that arrives byte by byte is skipped, also on a connection that is used again',
  limits,
  async (t) => {
    const receiver = await tcpReceiver(t, (socket) => {
      onRequest(socket, () => writeApart(socket, [...(CONTINUE + CONTINUE + OK)]))
    })
    const { send } = sender(t)
    for (let i = 0; i < 2; i += 1) {
      assert.equal(expectKind(await send(deliveryTo(receiver.url)), 'answered').status, 204)
    }
    assert.equal(receiver.sockets.length, 1)
  },
)

/** Writes each part only when the one before was handed to the kernel, in a packet of its own. */
function writeApart(socket: { write(part: string, done: () => void): unknown }, parts: string[]): void {
  const [first, ...rest] = parts
  if (first !== undefined) socket.write(first, () => setImmediate(() => writeApart(socket, rest)))
}

test('a receiver that answers before it read the body has answered', limits, async (t) => {
  const receiver = await tcpReceiver(t, (socket) => {
    socket.once('data', () =>
      socket.end('HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'),
    )
  })
  const payload = JSON.stringify('x'.repeat(100_000))
  const exchange = await sender(t).send(deliveryTo(receiver.url, { payload }))
  assert.equal(expectKind(exchange, 'answered').status, 413)
})

for (const end of ['reset', 'closed'] as const) {
  test(`a connection ${end} while a large body is sent is a network failure`, limits, async (t) => {
    const receiver = await tcpReceiver(t, (socket) => {
      socket.once('data', () => void (end === 'reset' ? socket.resetAndDestroy() : socket.destroy()))
    })
    const payload = JSON.stringify('x'.repeat(5_000_000))
    const failure = expectKind(await sender(t).send(deliveryTo(receiver.url, { payload })), 'failed')
    assert.equal(failure.reason, 'network')
    assert.match(failure.error, /^connection (reset|closed)/)
  })
}

test('a receiver that answers before it was asked has answered', limits, async (t) => {
  const receiver = await tcpReceiver(t, (socket) =>
    socket.end('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n'),
  )
  const exchange = await sender(t).send(deliveryTo(receiver.url))
  // Whether it is read as an answer, or its end comes first, is up to chance.
  if (exchange.kind === 'answered') assert.equal(exchange.status, 503)
  else assert.match(exchange.error, /^connection (reset|closed)/)
})

test('a receiver that is half closed after the request still gets to answer', limits, async (t) => {
  const receiver = await tcpReceiver(t, (socket) => {
    socket.allowHalfOpen = true
    onRequest(socket, () => socket.end('HTTP/1.1 200 OK\r\n\r\nuntil the end'))
  })
  const exchange = expectKind(await sender(t).send(deliveryTo(receiver.url)), 'answered')
  assert.equal(exchange.response, 'until the end')
})
