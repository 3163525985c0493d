import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { createServer as createTlsServer, type TlsOptions, type TLSSocket } from 'node:tls'
import type { TestContext } from 'node:test'
import type { Exchange } from '../../src/delivery/exchange.ts'
import { createSender, type Delivery, type Sender, type SenderOptions } from '../../src/delivery/send.ts'

/** A receiver on loopback that counts its connections. It is closed, with all its sockets, when the test ends. */
export interface Receiver {
  url: string
  port: number
  sockets: Socket[]
}

/** A receiver that speaks bytes: `onSocket` gets each connection. */
export async function tcpReceiver(
  t: TestContext,
  onSocket: (socket: Socket) => void = () => {},
): Promise<Receiver> {
  return listen(t, createTcpServer({ noDelay: true }, onSocket))
}

/**
 * A receiver that counts connections to any address of this machine, IPv6 too where it has that. It answers
 * each request with 204.
 */
export async function canary(t: TestContext): Promise<Receiver> {
  const server = createTcpServer({ noDelay: true }, (socket) => {
    onRequest(socket, () => socket.write('HTTP/1.1 204 No Content\r\n\r\n'))
  })
  return listen(t, server, hasIpv6() ? '::' : '0.0.0.0')
}

export function hasIpv6(): boolean {
  return Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))
}

/** A receiver that answers `bytes` to each connection once a whole request came, and then leaves it open. */
export async function bytesReceiver(t: TestContext, ...bytes: (string | Buffer)[]): Promise<Receiver> {
  return tcpReceiver(t, (socket) => {
    onRequest(socket, () => bytes.forEach((part) => socket.write(part)))
  })
}

/** Calls back each time that a request with a content-length of up to 64 KiB has come whole. */
export function onRequest(socket: Socket, answer: () => void): void {
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    const head = text.indexOf('\r\n\r\n')
    const length = Number(/content-length: (\d+)/i.exec(text)?.[1])
    if (head < 0 || text.length < head + 4 + length) return
    text = text.slice(head + 4 + length)
    answer()
  })
}

export interface Request {
  head: IncomingMessage
  body: Buffer
}

/** A receiver that speaks HTTP and keeps what it got. */
export async function httpReceiver(
  t: TestContext,
  answer: (response: ServerResponse, request: Request) => void,
): Promise<Receiver & { requests: Request[] }> {
  const requests: Request[] = []
  const server = createHttpServer((head, response) => {
    const chunks: Buffer[] = []
    head.on('data', (chunk: Buffer) => chunks.push(chunk))
    head.on('end', () => {
      const request = { head, body: Buffer.concat(chunks) }
      requests.push(request)
      answer(response, request)
    })
  })
  return Object.assign(await listen(t, server), { requests })
}

/** A receiver on TLS that answers 204 to each request, or does what `onSocket` does with each connection. */
export async function tlsReceiver(
  t: TestContext,
  options: TlsOptions,
  onSocket = (socket: TLSSocket) => {
    onRequest(socket, () => socket.write('HTTP/1.1 204 No Content\r\n\r\n'))
  },
): Promise<Receiver> {
  const server = createTlsServer(options, (socket) => {
    socket.on('error', () => undefined)
    onSocket(socket)
  })
  const receiver = await listen(t, server)
  return { ...receiver, url: receiver.url.replace('http:', 'https:') }
}

async function listen(t: TestContext, server: Server, host = '127.0.0.1'): Promise<Receiver> {
  const sockets: Socket[] = []
  server.on('connection', (socket: Socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
  })
  server.listen(0, host)
  await once(server, 'listening')
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/hook`, port, sockets }
}

/** A sender that is closed when the test ends. */
export function sender(t: TestContext, options: Partial<SenderOptions> = {}): Sender {
  const made = createSender({ timeoutMs: 5_000, version: '1.2.3', maxSockets: 256, ...options })
  t.after(() => made.close())
  return made
}

export function deliveryTo(url: string, more: Partial<Delivery> = {}): Delivery {
  return { url, eventId: '0190a5b4-1111-4222-8333-444455556666', attempt: 1, payload: '{"a":1}', ...more }
}

/** Narrows an exchange to a kind, or fails with what it was. */
export function expectKind<K extends Exchange['kind']>(
  exchange: Exchange,
  kind: K,
): Extract<Exchange, { kind: K }> {
  if (exchange.kind !== kind) throw new Error(`expected ${kind}: ${JSON.stringify(exchange)}`)
  return exchange as Extract<Exchange, { kind: K }>
}

/** Waits until a socket is closed; a socket that leaks ends the test by its timeout. */
export async function closed(socket: Socket | undefined): Promise<void> {
  if (!socket) throw new Error('the receiver saw no connection')
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
}

/** Lets the event loop turn so many times. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await new Promise((resolve) => setImmediate(resolve))
}
