import assert from 'node:assert/strict'
import test, { before } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import type { Address } from '../../src/delivery/open-socket.ts'
import { eventually } from '../support/eventually.ts'
import { localhost } from './certificates.ts'
import { closeAll, guard, resolvesTo } from './guard.ts'
import { canary, deliveryTo, expectKind, httpReceiver, sender, tlsReceiver } from './receivers.ts'

/**
 * The guard is only as good as the HTTP client that calls it. These turn red where a client, such as another version of
 * undici, opens a socket of its own.
 */
before(() => setDefaultCACertificates([...getCACertificates('default'), localhost.cert]))

for (const secure of [false, true]) {
  test(`the HTTP client opens no socket past the guard, ${secure ? 'https' : 'http'}`, async (t) => {
    const receiver = secure
      ? await tlsReceiver(t, localhost)
      : await httpReceiver(t, (response) => response.writeHead(204).end())
    const { sockets, port } = receiver
    const asked: string[] = []
    let refuse = false
    const checkAddress = ({ ip, host }: Address) => {
      asked.push(`${host} ${ip}`)
      return refuse ? 'no more' : null
    }
    const { send } = sender(t, { checkAddress, resolve: resolvesTo('127.0.0.1') })
    // A socket that no exchange came to need may be accepted a little later.
    const eachWasAsked = () => eventually(() => assert.equal(sockets.length, asked.length))
    const urls = ['127.0.0.1', 'localhost'].map((host) => `http${secure ? 's' : ''}://${host}:${port}/`)

    for (const url of urls) {
      const had = sockets.length
      // As many sockets as there are exchanges at once, and then again over idle ones.
      for (let round = 0; round < 3; round += 1) {
        const exchanges = await Promise.all(Array.from({ length: 8 }, () => send(deliveryTo(url))))
        for (const exchange of exchanges) assert.equal(expectKind(exchange, 'answered').status, 204)
      }
      assert.ok(sockets.length > had)
      await eachWasAsked()
    }

    // Closed by the receiver while idle: the next exchange needs a new socket.
    for (const url of urls) {
      await closeAll(sockets)
      const had = sockets.length
      for (let attempt = 0; sockets.length === had; attempt += 1) {
        // The first ones may still find dead sockets.
        assert.ok(attempt < 16)
        await send(deliveryTo(url))
      }
      await eachWasAsked()
    }

    refuse = true
    await closeAll(sockets)
    const had = sockets.length
    for (const url of urls) {
      await eventually(async () => {
        const failure = expectKind(await send(deliveryTo(url)), 'failed')
        assert.equal(failure.error, 'address not allowed: no more')
      })
    }
    assert.equal(sockets.length, had)
    assert.deepEqual([...new Set(asked)].sort(), ['127.0.0.1 127.0.0.1', 'localhost 127.0.0.1'])
  })
}

test('an idle socket that closes under a request is replaced through the guard only', async (t) => {
  const { port, sockets } = await canary(t)
  let asked = 0
  const { send } = sender(t, { checkAddress: () => ((asked += 1), asked > 1 ? 'no more' : null) })
  const url = `http://127.0.0.1:${port}/`
  assert.equal((await send(deliveryTo(url))).kind, 'answered')
  sockets[0]!.destroy()
  for (let i = 0; i < 5; i += 1) assert.equal((await send(deliveryTo(url))).kind, 'failed')
  assert.equal(sockets.length, 1)
  assert.ok(asked > 1)
})

test('a proxy in the environment is not asked', async (t) => {
  const proxy = await canary(t)
  const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy']
  for (const name of names) {
    const before = process.env[name]
    process.env[name] = `http://127.0.0.1:${proxy.port}`
    t.after(() => {
      if (before === undefined) delete process.env[name]
      else process.env[name] = before
    })
  }
  const receiver = await httpReceiver(t, (response) => response.end())
  const { send } = sender(t, { checkAddress: guard('loopback') })
  assert.equal((await send(deliveryTo(receiver.url))).kind, 'answered')
  assert.equal((await send(deliveryTo(`http://169.254.169.254:${receiver.port}/`))).kind, 'failed')
  assert.equal(proxy.sockets.length, 0)
})
