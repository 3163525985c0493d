import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import test from 'node:test'
import type { Exchange } from '../../src/delivery/exchange.ts'
import { deliveryTo, onRequest, sender, tcpReceiver, turns } from './receivers.ts'

/**
 * Receivers that send more than one answer to a request, or end it elsewhere than they said. What is left over must
 * never be taken for the answer to another event.
 */
const limits = { timeout: 10_000 }

const LEFT_OVER = 'HTTP/1.1 299 Left over\r\ncontent-length: 0\r\n\r\n'
const withBody = (headers: string, body: string) => `HTTP/1.1 200 OK\r\n${headers}\r\n\r\n${body}`
const firstAnswers: [name: string, parts: string[]][] = [
  ['two answers in one packet', [withBody('content-length: 0', '') + LEFT_OVER]],
  ['two answers in two packets', [withBody('content-length: 0', ''), LEFT_OVER]],
  ['a hundred answers', [withBody('content-length: 0', '') + LEFT_OVER.repeat(100)]],
  ['a longer body than it said', [withBody('content-length: 2', `ok${LEFT_OVER}`)]],
  ['a body where it said there is none', [withBody('content-length: 0', LEFT_OVER)]],
  ['more after the last chunk', [withBody('transfer-encoding: chunked', `2\r\nok\r\n0\r\n\r\n${LEFT_OVER}`)]],
  ['trailers, and more', [withBody('transfer-encoding: chunked', `0\r\nx: y\r\n\r\n${LEFT_OVER}`)]],
  ['both lengths', [withBody('content-length: 5\r\ntransfer-encoding: chunked', `0\r\n\r\n${LEFT_OVER}`)]],
  [
    'both lengths in the other order',
    [withBody('transfer-encoding: chunked\r\ncontent-length: 5', `0\r\n\r\n${LEFT_OVER}`)],
  ],
  ['two codings', [withBody('transfer-encoding: chunked, identity', `0\r\n\r\n${LEFT_OVER}`)]],
  ['a coding of no name', [withBody('transfer-encoding: xchunked', `0\r\n\r\n${LEFT_OVER}`)]],
  ['the same length twice', [withBody('content-length: 2\r\ncontent-length: 2', `ok${LEFT_OVER}`)]],
  ['a length with a sign', [withBody('content-length: +2', `ok${LEFT_OVER}`)]],
  ['a length with a list', [withBody('content-length: 2, 2', `ok${LEFT_OVER}`)]],
  ['a negative length', [withBody('content-length: -1', LEFT_OVER)]],
  ['a body that 204 has not', ['HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello', LEFT_OVER]],
  [
    'chunks that 204 has not',
    [`HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n${LEFT_OVER}`],
  ],
  ['a body after 204 without headers', ['HTTP/1.1 204 No Content\r\n\r\n', LEFT_OVER]],
  ['a body after 304', [`HTTP/1.1 304 Not Modified\r\ncontent-length: 50\r\n\r\n${LEFT_OVER}`]],
  ['the start of another answer', [withBody('content-length: 0', 'HTTP/1.1 29')]],
  ['empty lines after its answer', [withBody('content-length: 0', '\r\n\r\n\r\n')]],
  ['a space after its answer', [withBody('content-length: 0', ' ')]],
  ['an interim answer after its answer', [withBody('content-length: 0', 'HTTP/1.1 100 Continue\r\n\r\n')]],
  ['half an interim answer after its answer', [withBody('content-length: 0', 'HTTP/1.1 100 Con')]],
  [
    'an early hint and another answer',
    [withBody('content-length: 0', `HTTP/1.1 103 Hint\r\n\r\n${LEFT_OVER}`)],
  ],
  ['a large body, and more', [withBody('content-length: 60000', 'x'.repeat(60_000) + LEFT_OVER)]],
  [
    'chunks that end in bare line feeds',
    [withBody('transfer-encoding: chunked', `2\nok\n0\n\n${LEFT_OVER}`)],
  ],
  [
    'a chunk that is longer than its size',
    [withBody('transfer-encoding: chunked', `1\r\nok\r\n0\r\n\r\n${LEFT_OVER}`)],
  ],
  [
    'a chunk of a negative size',
    [withBody('transfer-encoding: chunked', `-1\r\nok\r\n0\r\n\r\n${LEFT_OVER}`)],
  ],
  [
    'a chunk of a size beyond all numbers',
    [withBody('transfer-encoding: chunked', `fffffffffffffffff\r\nok\r\n0\r\n\r\n${LEFT_OVER}`)],
  ],
]

for (const [name, parts] of firstAnswers) {
  for (const pause of [false, true]) {
    test(
      `${name}: the next event has its own answer, sent ${pause ? 'later' : 'at once'}`,
      limits,
      async (t) => {
        let requests = 0
        const receiver = await tcpReceiver(t, (socket) => {
          onRequest(socket, () => {
            requests += 1
            if (requests === 1) write(socket, parts)
            else socket.write('HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n')
          })
        })
        const { send } = sender(t, { timeoutMs: 1_000 })
        const first = await send(deliveryTo(receiver.url))
        if (pause) await turns(20)
        const all = [first]
        for (let i = 0; i < 3; i += 1) all.push(await send(deliveryTo(receiver.url)))
        assert.ok(!all.map(statusOf).includes(299), JSON.stringify(all))
        assert.equal(statusOf(all.at(-1)!), 503)
      },
    )
  }
}

const statusOf = (exchange: Exchange) => (exchange.kind === 'answered' ? exchange.status : null)

function write(socket: Socket, [first, ...rest]: string[]): void {
  if (first !== undefined) socket.write(first, () => setImmediate(() => write(socket, rest)))
}
