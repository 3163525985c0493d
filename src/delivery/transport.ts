import { createConnections } from './connections.ts'
import { createResolve, type Resolve } from './look-up.ts'
import type { CheckAddress, Progress } from './open-socket.ts'
import { readAnswer, type Answer, type ReadOptions } from './read-answer.ts'

/**
 * - `maxSockets`: how many sockets may be open at once, idle ones included; further exchanges wait for one, within
 *   their deadline
 * - `checkAddress`: asked for every address before a socket to it is opened
 * - `resolve`: how names are resolved; `dns.lookup` if not given
 */
export interface TransportOptions {
  maxSockets: number
  checkAddress?: CheckAddress | undefined
  resolve?: Resolve | undefined
}

export interface Post extends ReadOptions {
  url: URL
  headers: Record<string, string>
  body: Uint8Array
  progress: Progress
}

export interface Transport {
  post: (request: Post) => Promise<Answer>
  close: () => Promise<void>
}

/** No proxy, no redirect, no decompression. The only clock is a post's `signal`. */
export function createTransport({ maxSockets, checkAddress, resolve }: TransportOptions): Transport {
  const connections = createConnections({ maxSockets, checkAddress, resolve: resolve ?? createResolve() })
  return {
    async post({ url, headers, body, signal, progress, remainingMs }) {
      signal.throwIfAborted()
      const connection = await connections.acquire(url.origin, { signal, progress })
      try {
        const request = { path: url.pathname + url.search, method: 'POST', headers, body } as const
        return await readAnswer(connection, request, { signal, remainingMs })
      } finally {
        connections.release(connection)
      }
    },
    close: () => connections.close(),
  }
}
