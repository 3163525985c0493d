/**
 * A receiver: answers 200 to every POST, and notes its webhook-id and when its head arrived. Asked with `take`, it
 * hands over what it noted since the last time.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { wallMs } from '../clock.ts'

/** webhook-id, and milliseconds of the wall clock. */
export type Receipt = [eventId: string, receivedAt: number]
export type ReceiverMessage = 'port' | 'take'

let receipts: Receipt[] = []
const server = createServer((request, response) => {
  receipts.push([String(request.headers['webhook-id']), wallMs()])
  request.resume()
  response.writeHead(200, { 'content-length': 0 }).end()
})
server.keepAliveTimeout = 60_000

server.listen(0, '127.0.0.1', () => {
  process.on('message', (message: ReceiverMessage) => {
    if (message === 'port') process.send?.((server.address() as AddressInfo).port)
    else {
      process.send?.(receipts)
      receipts = []
    }
  })
})
process.on('SIGTERM', () => process.exit(0))
process.on('disconnect', () => process.exit(0))
