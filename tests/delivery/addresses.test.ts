import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import test from 'node:test'
import type { Address } from '../../src/delivery/open-socket.ts'
import { deliveryTo, expectKind, httpReceiver, sender, tcpReceiver } from './receivers.ts'

const at = (...addresses: string[]) => {
  return () =>
    Promise.resolve(addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })))
}
const refuse =
  (...ips: string[]) =>
  ({ ip }: Address) =>
    ips.includes(ip) ? `${ip} is loopback` : null

test('a literal is checked as the URL parser reads it, and a refusal opens no socket', async (t) => {
  const canary = await tcpReceiver(t)
  const { send } = sender(t, { checkAddress: refuse('127.0.0.1') })
  for (const host of [
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '①②⑦.0.0.1',
    '127.0.0.1.',
  ]) {
    const failure = expectKind(await send(deliveryTo(`http://${host}:${canary.port}/secret`)), 'failed')
    assert.equal(failure.reason, 'address', host)
    assert.equal(failure.error, 'address not allowed: 127.0.0.1 is loopback')
  }
  assert.equal(canary.sockets.length, 0)
})

test('every address of a name is checked, with the name', async (t) => {
  const receiver = await httpReceiver(t, (response) => response.end())
  const asked: Address[] = []
  const checkAddress = (address: Address) => {
    asked.push(address)
    return null
  }
  const { send } = sender(t, { checkAddress, resolve: at('::1', '127.0.0.1') })
  assert.equal((await send(deliveryTo(`http://hook.test:${receiver.port}/`))).kind, 'answered')
  assert.deepEqual(asked, [
    { ip: '::1', family: 6, host: 'hook.test' },
    { ip: '127.0.0.1', family: 4, host: 'hook.test' },
  ])
  assert.equal(receiver.requests[0]!.head.headers.host, `hook.test:${receiver.port}`)
})

test('one address that is not allowed refuses a name, whatever its place', async (t) => {
  const canary = await tcpReceiver(t)
  for (const addresses of [
    ['127.0.0.1', '127.0.0.2'],
    ['127.0.0.2', '127.0.0.1'],
  ]) {
    const { send } = sender(t, { checkAddress: refuse('127.0.0.2'), resolve: at(...addresses) })
    const failure = expectKind(await send(deliveryTo(`http://hook.test:${canary.port}/`)), 'failed')
    assert.equal(failure.reason, 'address')
  }
  assert.equal(canary.sockets.length, 0)
})

test('a socket goes to the address that was checked, though the next look-up says another', async (t) => {
  const receiver = await httpReceiver(t, (response) => response.end())
  const answers = [at('127.0.0.1'), at('127.0.0.2')]
  const { send } = sender(t, {
    checkAddress: refuse('127.0.0.2'),
    resolve: () => (answers.shift() ?? at('127.0.0.2'))(),
  })
  assert.equal((await send(deliveryTo(`http://hook.test:${receiver.port}/`))).kind, 'answered')
  for (const socket of receiver.sockets) {
    socket.destroy()
    await once(socket, 'close')
  }
  const failure = expectKind(await send(deliveryTo(`http://hook.test:${receiver.port}/`)), 'failed')
  assert.ok(failure.reason === 'address' || failure.reason === 'network')
  const again = expectKind(await send(deliveryTo(`http://hook.test:${receiver.port}/`)), 'failed')
  assert.equal(again.reason, 'address')
  assert.equal(receiver.sockets.length, 1)
})

test('the second address is tried where the first refuses', async (t) => {
  const receiver = await httpReceiver(t, (response) => response.end())
  const { send } = sender(t, { resolve: at('127.0.0.9', '127.0.0.1') })
  assert.equal((await send(deliveryTo(`http://hook.test:${receiver.port}/`))).kind, 'answered')
})

test('localhost resolves by the machine, and its addresses are checked', async (t) => {
  const receiver = await httpReceiver(t, (response) => response.end())
  const asked: string[] = []
  const checkAddress = ({ ip }: Address) => {
    asked.push(ip)
    return null
  }
  const { send } = sender(t, { checkAddress })
  assert.equal((await send(deliveryTo(`http://localhost:${receiver.port}/`))).kind, 'answered')
  assert.ok(asked.includes('127.0.0.1'))
})

test('an IPv6 literal is checked and reached', async (t) => {
  const server = createServer((socket) => {
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
  })
  server.listen(0, '::1')
  try {
    await once(server, 'listening')
  } catch {
    t.skip('no IPv6 on this machine')
    return
  }
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const asked: Address[] = []
  const checkAddress = (address: Address) => {
    asked.push(address)
    return null
  }
  const exchange = await sender(t, { checkAddress }).send(deliveryTo(`http://[0:0::1]:${port}/`))
  assert.equal(exchange.kind, 'answered')
  assert.deepEqual(asked, [{ ip: '::1', family: 6, host: '::1' }])
})

test('port 0 is not read as the default port', async (t) => {
  const failure = expectKind(await sender(t).send(deliveryTo('http://127.0.0.1:0/')), 'failed')
  assert.equal(failure.reason, 'network')
})
