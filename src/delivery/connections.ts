import {
  closeConnection,
  createConnection,
  type Connection,
  type Holder,
  type SocketChecks,
} from './connection.ts'
import { Cut } from './cut.ts'
import { createSpareConnections } from './spare-connections.ts'

/**
 * - `acquire` gives a connection to an origin for one exchange: one that is ready, or else a new one, or, where all
 *   are held, a promise of one that rejects with the reason of the holder's signal. Throws once closed.
 * - `release` is to be called once for each, when the exchange is over.
 * - `close` closes every socket.
 */
export interface Connections {
  acquire: (origin: string, holder: Holder) => Connection | Promise<Connection>
  release: (connection: Connection) => void
  close: () => Promise<void>
}

/** `maxSockets`: how many sockets may be open at once, those that are opening and those that are idle included. */
export interface ConnectionsOptions extends SocketChecks {
  maxSockets: number
}

/**
 * Keep-alive connections to any number of origins. Where a new one is needed beyond `maxSockets`, the spare one that
 * was released longest ago is closed; one that is held never is, so that up to `maxSockets` exchanges at once do not
 * wait for each other.
 */
export function createConnections({ maxSockets, ...checks }: ConnectionsOptions): Connections {
  const all = new Set<Connection>()
  const spare = createSpareConnections()
  const waiting = new Set<() => void>()
  let closed = false

  const events = {
    ready(connection: Connection) {
      if (connection.state === 'spare') spare.becameReady(connection)
    },
    closed(connection: Connection) {
      if (connection.state !== 'spare') return
      spare.delete(connection)
      remove(connection)
      serveWaiting()
    },
  }

  function remove(connection: Connection): void {
    all.delete(connection)
    closeConnection(connection)
  }

  function tryAcquire(origin: string, holder: Holder): Connection | undefined {
    const ready = spare.takeReady(origin)
    if (ready) return Object.assign(ready, { holder, state: 'held', ready: false })
    if (all.size >= maxSockets) {
      const oldest = spare.takeOldest()
      if (!oldest) return undefined
      remove(oldest)
    }
    const connection = createConnection(origin, holder, checks, events)
    all.add(connection)
    return connection
  }

  function waitToAcquire(origin: string, holder: Holder): Promise<Connection> {
    const { signal, progress } = holder
    progress.phase = 'waiting for a free socket'
    return new Promise((resolve, reject) => {
      const stop = () => {
        waiting.delete(attempt)
        signal.removeEventListener('abort', abort)
      }
      const abort = () => {
        stop()
        reject(signal.reason as Error)
      }
      const attempt = () => {
        const connection = tryAcquire(origin, holder)
        if (!connection) return
        stop()
        progress.phase = 'waiting for headers'
        resolve(connection)
      }
      waiting.add(attempt)
      signal.addEventListener('abort', abort, { once: true })
    })
  }

  const serveWaiting = () => waiting.values().next().value?.()

  return {
    acquire(origin, holder) {
      if (closed) throw new Cut('closed')
      return (waiting.size === 0 && tryAcquire(origin, holder)) || waitToAcquire(origin, holder)
    },
    release(connection) {
      if (connection.open) {
        connection.state = 'spare'
        spare.add(connection)
      } else remove(connection)
      serveWaiting()
    },
    async close() {
      closed = true
      await Promise.all([...all].map(({ client }) => client.destroy()))
    },
  }
}
