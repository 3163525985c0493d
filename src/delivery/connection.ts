import { Client, type buildConnector } from 'undici'
import { Cut } from './cut.ts'
import { guardAnswer, type Allowance } from './guard-answer.ts'
import { openSocket, type OpenOptions, type Progress } from './open-socket.ts'

/** The exchange that a connection serves. `signal` ends it, and with it a socket that is still opening. */
export interface Holder {
  signal: AbortSignal
  progress: Progress
}

/**
 * One socket to one origin, for one exchange at a time: an undici Client of its own. undici's Agent would not do: it
 * opens without a bound, does not tell its connector which request a socket is for, and never forgets an origin whose
 * last request was aborted.
 *
 * - `allowance`: of the answer that is awaited
 * - `state`: `spare` once its exchange is over, though the rest of the answer may still be coming
 * - `open`: whether there is a socket
 * - `ready`: whether that waits for a request
 */
export interface Connection {
  readonly origin: string
  readonly client: Client
  readonly allowance: Allowance
  holder: Holder
  state: 'held' | 'spare' | 'closed'
  open: boolean
  ready: boolean
}

export type SocketChecks = Pick<OpenOptions, 'resolve' | 'checkAddress'>

export interface ConnectionEvents {
  ready: (connection: Connection) => void
  closed: (connection: Connection) => void
}

// undici's own timeouts are off: they count idle time and do not reach a socket that is still opening, so that the
// holder's signal is the only clock.
const clientOptions = {
  allowH2: false,
  headersTimeout: 0,
  bodyTimeout: 0,
  maxHeaderSize: 16 * 1024,
  keepAliveTimeout: 4_000,
  keepAliveMaxTimeout: 60_000,
} satisfies Client.Options

/** HTTP/1.1 with keep-alive, over a socket that `openSocket` opens once there is a request. */
export function createConnection(
  origin: string,
  holder: Holder,
  checks: SocketChecks,
  events: ConnectionEvents,
): Connection {
  const connect: buildConnector.connector = ({ hostname, port, protocol }, callback) => {
    const secure = protocol === 'https:'
    const target = { hostname, secure, port: port === '' ? (secure ? 443 : 80) : Number(port) }
    openSocket(target, { ...checks, ...connection.holder }).then(
      (socket) => {
        guardAnswer(socket, connection.allowance)
        callback(null, socket)
      },
      (error: Error) => callback(error, null),
    )
  }
  const client = new Client(origin, { ...clientOptions, connect })
  const connection: Connection = {
    ...{ origin, client, holder, allowance: { bytes: 0 } },
    ...{ state: 'held', open: false, ready: false },
  }
  client.on('connect', () => (connection.open = true))
  client.on('drain', () => {
    connection.ready = connection.open
    if (connection.ready) events.ready(connection)
  })
  client.on('disconnect', () => {
    // Where an idle socket closes under a request that was not written yet, undici opens another for it.
    connection.open = false
    events.closed(connection)
  })
  return connection
}

// undici would make one with a stack each time, which costs more than closing the socket.
const over = new Cut('answered')

/** Closes its socket at once. */
export function closeConnection(connection: Connection): void {
  connection.state = 'closed'
  connection.client.destroy(over, () => undefined)
}
