/** A process that only receives, so that the sockets of the one that forks it are the sender's: run by many-deliveries.ts. */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { onRequest } from './receivers.ts'

export const kinds = ['keeps', 'closes', 'hangs up', 'resets', 'slow'] as const
export type Kind = (typeof kinds)[number]
export type Ports = Record<Kind, number[]>

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n'
const SLOW_MS = 20

/** What follows each answer. */
const answers: Record<Kind, (socket: Socket) => void> = {
  keeps: (socket) => socket.write(`${OK}\r\nok`),
  closes: (socket) => socket.end(`${OK}connection: close\r\n\r\nok`),
  'hangs up': (socket) => socket.end(`${OK}\r\nok`),
  resets: (socket) => socket.write(`${OK}\r\nok`, () => socket.resetAndDestroy()),
  slow: (socket) => void setTimeout(() => socket.write(`${OK}\r\nok`), SLOW_MS),
}

async function listen(kind: Kind): Promise<number> {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => undefined)
    onRequest(socket, () => answers[kind](socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function serve(ofEachKind: number): Promise<void> {
  const ports: Ports = { keeps: [], closes: [], 'hangs up': [], resets: [], slow: [] }
  for (const kind of kinds) {
    for (let i = 0; i < ofEachKind; i += 1) ports[kind].push(await listen(kind))
  }
  process.send?.(ports)
}

if (process.send) {
  process.once('message', (count: number) => void serve(count))
  process.on('disconnect', () => process.exit(0))
}
