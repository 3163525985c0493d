/**
 * A receiver on as many ports as it is asked for, each an origin of its own. Answers 200 to every POST, at once or as it
 * was told, and notes its webhook-id and when its head arrived. Asked with `take`, it hands over what it noted since the
 * last time.
 */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { wallMs } from '../clock.ts'

/** webhook-id, and milliseconds of the wall clock. */
export type Receipt = [eventId: string, receivedAt: number]
/**
 * - `listen`: opens so many ports and answers with all of them
 * - `answerAfterMs`: how it answers from now on, null for never; exchanges under way are cut
 * - `down`: refuses connections, or takes them again on the same ports
 * - `count`: how many it noted and nobody took
 */
export type ReceiverMessage =
  'take' | 'count' | { listen: number } | { answerAfterMs: number | null } | { down: boolean }

const receipts: Receipt[] = []
let answerAfterMs: number | null = 0
const servers: { server: Server; port: number }[] = []

async function listen(server: Server, port: number): Promise<number> {
  server.listen({ port, host: '127.0.0.1', backlog: 1_024 })
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function open(): Promise<void> {
  const server = createServer((request, response) => {
    receipts.push([String(request.headers['webhook-id']), wallMs()])
    request.resume()
    const answer = () => response.writeHead(200, { 'content-length': 0 }).end()
    if (answerAfterMs === 0) answer()
    else if (answerAfterMs !== null) void sleep(answerAfterMs, undefined, { ref: false }).then(answer)
  })
  server.keepAliveTimeout = 60_000
  servers.push({ server, port: await listen(server, 0) })
}

async function obey(message: ReceiverMessage): Promise<unknown> {
  if (message === 'count') return receipts.length
  if (message === 'take') return receipts.splice(0)
  if ('listen' in message) {
    for (let n = 0; n < message.listen; n++) await open()
    return servers.map(({ port }) => port)
  }
  if ('answerAfterMs' in message) answerAfterMs = message.answerAfterMs
  else if (message.down) for (const { server } of servers) server.close()
  else for (const { server, port } of servers) await listen(server, port)
  for (const { server } of servers) server.closeAllConnections()
  return 'done'
}

process.on('message', (message: ReceiverMessage) => {
  void obey(message).then((answer) => process.send?.(answer))
})
process.on('SIGTERM', () => process.exit(0))
process.on('disconnect', () => process.exit(0))
