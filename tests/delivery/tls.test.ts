import assert from 'node:assert/strict'
import test, { before } from 'node:test'
import { getCACertificates, setDefaultCACertificates, type TlsOptions, type TLSSocket } from 'node:tls'
import { expired, localhost, otherHost } from './certificates.ts'
import { judge, type Verdict } from '../../src/delivery/verdict.ts'
import {
  closed,
  deliveryTo,
  expectKind,
  httpReceiver,
  onRequest,
  sender,
  tcpReceiver,
  tlsReceiver,
} from './receivers.ts'

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

const OK = 'HTTP/1.1 204 No Content\r\n\r\n'
const answer = (socket: TLSSocket) => onRequest(socket, () => socket.write(OK))
const renegotiate = (socket: TLSSocket, done: (error: Error | null) => void) => {
  if (!socket.destroyed) socket.renegotiate({}, done)
}
const flood = (socket: TLSSocket) => renegotiate(socket, (error) => void (error ?? flood(socket)))

const tls12: TlsOptions = { ...localhost, maxVersion: 'TLSv1.2' }
const hostile: [
  name: string,
  verdict: Verdict['kind'],
  error: RegExp,
  options: TlsOptions,
  onSocket: (socket: TLSSocket) => void,
][] = [
  ['speaks HTTP/2 only', 'retry', /^TLS: /, { ...localhost, ALPNProtocols: ['h2'] }, answer],
  ['prefers HTTP/2', 'delivered', /^$/, { ...localhost, ALPNProtocols: ['h2', 'http/1.1'] }, answer],
  [
    'speaks TLS 1.1 only',
    'retry',
    /^TLS: /,
    { ...localhost, minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' },
    answer,
  ],
  ['asks for a certificate', 'retry', /^TLS: /, { ...tls12, requestCert: true }, answer],
  ['asks for a certificate in TLS 1.3', 'retry', /closed|TLS/, { ...localhost, requestCert: true }, answer],
  ['closes after the handshake', 'retry', /closed/, localhost, (socket) => socket.end()],
  ['resets after the handshake', 'retry', /closed|reset/, localhost, (socket) => socket.destroy()],
  [
    'says good-bye instead of an answer',
    'retry',
    /closed/,
    localhost,
    (socket) => onRequest(socket, () => socket.end()),
  ],
  [
    'renegotiates before its answer',
    'delivered',
    /^$/,
    tls12,
    (socket) => onRequest(socket, () => renegotiate(socket, () => socket.write(OK))),
  ],
  [
    'renegotiates after its answer',
    'delivered',
    /^$/,
    tls12,
    (socket) =>
      onRequest(socket, () => {
        socket.write(OK)
        renegotiate(socket, () => undefined)
      }),
  ],
  ['renegotiates without an end', 'retry', /^TLS: too many renegotiations/, tls12, flood],
]

for (const [name, verdict, error, options, onSocket] of hostile) {
  test(`a receiver that ${name}: ${verdict}, twice`, { timeout: 10_000 }, async (t) => {
    const receiver = await tlsReceiver(t, options, onSocket)
    const { send } = sender(t, { timeoutMs: 1_000 })
    for (let i = 0; i < 2; i += 1) {
      const exchange = await send(deliveryTo(receiver.url))
      const judged = judge(exchange)
      assert.equal(judged.kind, verdict, JSON.stringify(exchange))
      assert.match('error' in judged ? judged.error : '', error)
      assert.ok(exchange.durationMs < 1_100 + 250, `${exchange.durationMs} ms`)
    }
  })
}

test('a handshake that drips is cut at the deadline', { timeout: 10_000 }, async (t) => {
  const receiver = await tcpReceiver(t, (socket) => {
    // A record of a handshake that is to be 16 KiB long.
    socket.write(Buffer.from('160303400002003ffc0303', 'hex'))
    const timer = setInterval(() => socket.write('x'), 20)
    socket.once('close', () => clearInterval(timer))
    socket.resume()
  })
  const url = receiver.url.replace('http:', 'https:')
  const failure = expectKind(await sender(t, { timeoutMs: 300 }).send(deliveryTo(url)), 'failed')
  assert.equal(failure.error, 'timed out after 300 ms while in the TLS handshake')
  assert.ok(failure.durationMs < 330 + 250, `${failure.durationMs} ms`)
  await closed(receiver.sockets[0])
})
