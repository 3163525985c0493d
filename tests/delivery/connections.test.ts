import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import test, { type TestContext } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { closed, deliveryTo, expectKind, httpReceiver, onRequest, sender, tcpReceiver } from './receivers.ts'

const limits = { timeout: 10_000 }

/** A receiver that answers when it is told to. */
async function askedReceiver(t: TestContext) {
  const asked: ServerResponse[] = []
  const receiver = await httpReceiver(t, (response) => asked.push(response))
  return { ...receiver, asked, isAsked: () => eventually(() => assert.ok(asked.length > 0)) }
}

const answering = (t: TestContext) => httpReceiver(t, (response) => response.end())

test(
  'beyond maxSockets the connection that was used longest ago is closed, and no other',
  limits,
  async (t) => {
    const [a, b, c, d] = [await answering(t), await answering(t), await answering(t), await answering(t)]
    const { send } = sender(t, { maxSockets: 3 })
    for (const { url } of [a, b, c, a, d]) assert.equal((await send(deliveryTo(url))).kind, 'answered')
    await closed(b.sockets[0])
    for (const { url } of [a, c, d, c, a]) assert.equal((await send(deliveryTo(url))).kind, 'answered')
    assert.deepEqual(
      [a, b, c, d].map(({ sockets }) => sockets.length),
      [1, 1, 1, 1],
    )
    assert.ok([a, c, d].every(({ sockets }) => !sockets[0]!.closed))
  },
)

test('where all connections are in use, the next exchange waits for one, in order', limits, async (t) => {
  const slow = await askedReceiver(t)
  const [b, c] = [await answering(t), await answering(t)]
  const { send } = sender(t, { maxSockets: 1 })
  const order: string[] = []
  const note = (name: string, url: string) =>
    send(deliveryTo(url)).then(({ kind }) => order.push(`${name} ${kind}`))
  const all = [note('a', slow.url), note('b', b.url), note('c', c.url)]
  await slow.isAsked()
  assert.equal(b.sockets.length + c.sockets.length, 0)
  slow.asked[0]!.end()
  await Promise.all(all)
  assert.deepEqual(order, ['a answered', 'b answered', 'c answered'])
})

test(
  'an exchange that waits for a socket is cut at its deadline, and is not in the way of the next',
  limits,
  async (t) => {
    const slow = await askedReceiver(t)
    const [b, c] = [await answering(t), await answering(t)]
    const { send } = sender(t, { maxSockets: 1 })
    const first = send(deliveryTo(slow.url))
    await slow.isAsked()
    const late = expectKind(await send(deliveryTo(b.url, { timeoutMs: 100 })), 'failed')
    assert.equal(late.error, 'timed out after 100 ms while waiting for a free socket')
    assert.ok(late.durationMs < 110 + 250, `${late.durationMs} ms`)
    const third = send(deliveryTo(c.url))
    slow.asked[0]!.end()
    assert.equal((await first).kind, 'answered')
    assert.equal((await third).kind, 'answered')
    assert.equal(b.sockets.length, 0)
  },
)

test('an exchange that fails makes room for one that waits', limits, async (t) => {
  const slow = await askedReceiver(t)
  const b = await answering(t)
  const { send } = sender(t, { maxSockets: 1 })
  const first = send(deliveryTo(slow.url, { timeoutMs: 200 }))
  await slow.isAsked()
  assert.equal((await send(deliveryTo(b.url))).kind, 'answered')
  assert.equal((await first).kind, 'failed')
  await closed(slow.sockets[0])
})

test('a sender that is closed ends what waits for a socket', limits, async (t) => {
  const slow = await askedReceiver(t)
  const b = await answering(t)
  const { send, close } = sender(t, { maxSockets: 1 })
  const both = [send(deliveryTo(slow.url)), send(deliveryTo(b.url))]
  await slow.isAsked()
  await close()
  for (const exchange of await Promise.all(both)) {
    assert.equal(expectKind(exchange, 'failed').error, 'aborted: the sender is closed')
  }
  await closed(slow.sockets[0])
  assert.equal(b.sockets.length, 0)
})

test('a receiver whose answer drips on keeps no place from others', limits, async (t) => {
  const dripping = await tcpReceiver(t, (socket) => {
    onRequest(socket, () => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n${'x'.repeat(2048)}`)
      const timer = setInterval(() => socket.write('x'), 10)
      socket.once('close', () => clearInterval(timer))
    })
  })
  const b = await answering(t)
  const { send } = sender(t, { maxSockets: 1 })
  assert.equal((await send(deliveryTo(dripping.url))).kind, 'answered')
  const next = expectKind(await send(deliveryTo(b.url)), 'answered')
  // The rest of a body may come for a second.
  assert.ok(next.durationMs < 500, `${next.durationMs} ms`)
  await closed(dripping.sockets[0])
})

test(
  'as many exchanges at once as maxSockets do not wait, whoever had the connections before',
  limits,
  async (t) => {
    const [a, b] = [await askedReceiver(t), await askedReceiver(t)]
    const { send } = sender(t, { maxSockets: 8 })
    for (const { url, asked } of [a, b, a]) {
      asked.length = 0
      const all = Array.from({ length: 8 }, () => send(deliveryTo(url)))
      await eventually(() => assert.equal(asked.length, 8))
      for (const response of asked) response.end()
      for (const { kind } of await Promise.all(all)) assert.equal(kind, 'answered')
    }
  },
)
