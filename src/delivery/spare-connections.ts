import type { Connection } from './connection.ts'

/** Connections that no exchange holds, in order of their release; those that are ready also by origin. */
export interface SpareConnections {
  add: (connection: Connection) => void
  /** A spare one has read the rest of its answer. */
  becameReady: (connection: Connection) => void
  delete: (connection: Connection) => void
  /** Takes out the one that became ready last: its receiver is the least likely to have closed it. */
  takeReady: (origin: string) => Connection | undefined
  /** Takes out the one that was released longest ago. */
  takeOldest: () => Connection | undefined
}

export function createSpareConnections(): SpareConnections {
  const all = new Set<Connection>()
  const ready = new Map<string, Connection[]>()

  function offer(connection: Connection): void {
    const others = ready.get(connection.origin)
    if (others) others.push(connection)
    else ready.set(connection.origin, [connection])
  }

  function takeOut(connection: Connection | undefined): Connection | undefined {
    if (!connection) return undefined
    all.delete(connection)
    if (!connection.ready) return connection
    const others = ready.get(connection.origin)!
    if (others.length === 1) ready.delete(connection.origin)
    else others.splice(others.lastIndexOf(connection), 1)
    return connection
  }

  return {
    add(connection) {
      all.add(connection)
      if (connection.ready) offer(connection)
    },
    becameReady: offer,
    delete: (connection) => void takeOut(connection),
    takeReady: (origin) => takeOut(ready.get(origin)?.at(-1)),
    takeOldest: () => takeOut(all.values().next().value),
  }
}
