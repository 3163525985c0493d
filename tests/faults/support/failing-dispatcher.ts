/**
 * A dispatcher with a failpoint, as a process of its own. It is wired here from the service's parts; the failpoint is a function
 * of this file around the sender's `send`, and production objects know nothing of it.
 *
 * FAILPOINT, acting on the FAIL_AT-th send (1, the first, unless set) or, for `crash-on`, on payloads with FAIL_TEXT:
 *   kill-before-post   the process is killed with its claim, before anything was sent
 *   kill-after-answer  … when the answer is there, before it is recorded
 *   crash-on           an exception that nobody catches, for each payload that holds the text
 *   block-before-post  the event loop stands still for BLOCK_MS, then sends
 *   block-after-answer … when the answer is there, before it is recorded
 */
import { createPool } from '../../../src/database/connection.ts'
import { createSender, type Sender } from '../../../src/delivery/send.ts'
import { Dispatcher } from '../../../src/dispatch/dispatcher.ts'
import { readConfig } from '../../../src/config.ts'
import { createLog } from '../../../src/observe/log.ts'

const { FAILPOINT, FAIL_AT, FAIL_TEXT, BLOCK_MS, ...env } = process.env
const config = readConfig(env)
const log = createLog('info')
let sends = 0

function block(): void {
  log.info('blocked')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(BLOCK_MS))
}

function withFailpoint(sender: Sender): Sender {
  return {
    ...sender,
    async send(delivery, signal) {
      const acts = ++sends === Number(FAIL_AT ?? 1)
      if (FAILPOINT === 'crash-on' && delivery.payload.includes(FAIL_TEXT!)) {
        setImmediate(() => {
          throw new Error('a poison row')
        })
      }
      if (acts && FAILPOINT === 'kill-before-post') process.kill(process.pid, 'SIGKILL')
      if (acts && FAILPOINT === 'block-before-post') block()
      const exchange = await sender.send(delivery, signal)
      if (acts && FAILPOINT === 'kill-after-answer') process.kill(process.pid, 'SIGKILL')
      if (acts && FAILPOINT === 'block-after-answer') block()
      return exchange
    },
  }
}

const databaseUrl = config.databaseUrl!
const pool = createPool(databaseUrl, { maxConnections: 4, queryTimeoutMs: 15_000 })
const sender = createSender({
  timeoutMs: config.deliveryTimeoutMs,
  version: 'failing',
  maxSockets: config.maxInFlight,
})
const dispatcher = new Dispatcher({
  db: pool,
  listenUrl: config.listenDatabaseUrl ?? databaseUrl,
  sender: withFailpoint(sender),
  log,
  retrySchedule: config.retrySchedule,
  maxInFlight: config.maxInFlight,
  maxInFlightPerEndpoint: config.maxInFlight,
  leaseMs: config.leaseMs,
  deliveryTimeoutMs: config.deliveryTimeoutMs,
  pollIntervalMs: config.pollIntervalMs,
  shutdownGraceMs: config.shutdownGraceMs,
})
process.once('SIGTERM', () => {
  void dispatcher
    .stop()
    .then(() => sender.close())
    .then(() => pool.end())
    .then(() => process.exit(0))
})
dispatcher.start()
log.info('dispatching')
