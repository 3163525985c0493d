import assert from 'node:assert/strict'
import test, { before } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { expired, localhost, otherHost } from './certificates.ts'
import { deliveryTo, expectKind, httpReceiver, sender, tcpReceiver, tlsReceiver } from './receivers.ts'

before(() => {
  // Own process (node --test): trusts what an operator would give in NODE_EXTRA_CA_CERTS.
  setDefaultCACertificates([...getCACertificates('default'), expired.cert, otherHost.cert, localhost.cert])
})

test('a receiver with a valid certificate is answered, by name and by address, on one connection each', async (t) => {
  const receiver = await tlsReceiver(t, localhost)
  const resolve = () => Promise.resolve([{ address: '127.0.0.1', family: 4 }])
  const { send } = sender(t, { resolve })
  for (const host of ['127.0.0.1', 'localhost', 'localhost.']) {
    for (let i = 0; i < 2; i += 1) {
      const exchange = await send(deliveryTo(`https://${host}:${receiver.port}/`))
      assert.equal(expectKind(exchange, 'answered').status, 204)
    }
  }
  assert.equal(receiver.sockets.length, 3)
})

const bad: [name: string, identity: { key: string; cert: string }, error: RegExp][] = [
  ['an expired certificate', expired, /^TLS: certificate has expired$/],
  ['a certificate for another host', otherHost, /^TLS: .*does not match certificate/],
]

for (const [name, identity, error] of bad) {
  test(`${name} is a TLS failure`, async (t) => {
    const receiver = await tlsReceiver(t, identity)
    const failure = expectKind(await sender(t).send(deliveryTo(`${receiver.url}?secret`)), 'failed')
    assert.equal(failure.reason, 'tls')
    assert.match(failure.error, error)
  })
}

test('a self-signed certificate is a TLS failure', async (t) => {
  setDefaultCACertificates([])
  t.after(() => setDefaultCACertificates([...getCACertificates('bundled'), localhost.cert]))
  const receiver = await tlsReceiver(t, localhost)
  const failure = expectKind(await sender(t).send(deliveryTo(receiver.url)), 'failed')
  assert.equal(failure.reason, 'tls')
  assert.equal(failure.error, 'TLS: self-signed certificate')
})

test('a receiver without TLS behind https is a TLS failure', async (t) => {
  const receiver = await httpReceiver(t, (response) => response.end())
  const exchange = await sender(t).send(deliveryTo(receiver.url.replace('http:', 'https:')))
  const failure = expectKind(exchange, 'failed')
  assert.equal(failure.reason, 'tls')
  assert.match(failure.error, /^TLS: [a-z ]+$/)
})

for (const end of ['reset', 'closed'] as const) {
  test(`a connection ${end} in the handshake is a TLS failure`, async (t) => {
    const receiver = await tcpReceiver(t, (socket) => {
      socket.once('data', () => void (end === 'reset' ? socket.resetAndDestroy() : socket.end()))
    })
    const exchange = await sender(t).send(deliveryTo(receiver.url.replace('http:', 'https:')))
    const failure = expectKind(exchange, 'failed')
    assert.equal(failure.reason, 'tls')
    assert.equal(failure.error, `TLS: connection closed during the handshake: 127.0.0.1:${receiver.port}`)
  })
}
