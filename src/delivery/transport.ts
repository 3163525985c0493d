import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { Agent, type buildConnector, type Dispatcher } from 'undici'
import { Cut } from './cut.ts'
import { createResolve, openSocket, type CheckAddress, type Progress, type Resolve } from './open-socket.ts'

/**
 * - `connectTimeoutMs`: how long a socket may take to open where no exchange waits for it any more
 * - `checkAddress`: asked for every address before a socket to it is opened
 * - `resolve`: how names are resolved; `dns.lookup` if not given
 */
export interface TransportOptions {
  connectTimeoutMs: number
  checkAddress?: CheckAddress | undefined
  resolve?: Resolve | undefined
}

/** `cut` ends the exchange at any point, and its socket with it. */
export interface Post {
  url: URL
  headers: Headers | Record<string, string>
  body: Uint8Array
  cut: AbortController
  progress: Progress
}

/** The head of an answer. `body` is null where there is nothing to read: after 101, the socket is closed. */
export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: Readable | null
}

export interface Transport {
  post: (request: Post) => Promise<Answer>
  close: () => Promise<void>
}

type Opener = Pick<Post, 'progress'> & { signal: AbortSignal }

const MAX_HEADER_BYTES = 16 * 1024

/**
 * One undici Agent with keep-alive over sockets that `openSocket` opens. No proxy, no redirect, no
 * decompression, HTTP/1.1 only. undici's own timeouts are off: they count idle time and do not reach a socket
 * that is still opening, so `cut` is the only clock.
 */
export function createTransport({ connectTimeoutMs, checkAddress, resolve }: TransportOptions): Transport {
  const options = { resolve: resolve ?? createResolve(), checkAddress }
  const closing = new AbortController()
  // undici does not tell its connector which request a socket is for. It connects within the call to
  // `request`, so this names the request; only where an idle socket closes under a request does undici
  // connect again later, for none.
  let opener: Opener | null = null

  const connect: buildConnector.connector = ({ hostname, port, protocol }, callback) => {
    const secure = protocol === 'https:'
    const target = { hostname, secure, port: port === '' ? (secure ? 443 : 80) : Number(port) }
    const orphan = (): Opener => ({
      signal: AbortSignal.any([AbortSignal.timeout(connectTimeoutMs), closing.signal]),
      progress: { phase: 'connecting' },
    })
    openSocket(target, { ...options, ...(opener ?? orphan()) }).then(
      (socket: Socket) => callback(null, socket),
      (error: Error) => callback(error, null),
    )
  }

  const agent = new Agent({
    connect,
    allowH2: false,
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: MAX_HEADER_BYTES,
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 60_000,
  })

  // The Agent forgets an origin when its last socket closes, but not where an aborted request was on it:
  // undici drops that one only after the event. Hung receivers would stay in memory for ever, so the Agent is
  // made to look again.
  agent.on('disconnect', (origin, [, pool], error) => {
    setImmediate(() => pool?.emit('connectionError', origin, [], error))
  })

  return {
    post: (request) =>
      new Promise((resolve, reject) => {
        const { signal } = request.cut
        const abort = () => reject(signal.reason as Error)
        if (signal.aborted) return abort()
        signal.addEventListener('abort', abort, { once: true })
        opener = { signal, progress: request.progress }
        try {
          agent.request(toUndici(request, resolve), (error, answer) => {
            if (!error) resolve({ status: answer.statusCode, headers: answer.headers, body: answer.body })
            else if (error.message === 'bad upgrade') resolve(switchedProtocols)
            else reject(error)
          })
        } finally {
          opener = null
        }
      }),
    close: () => {
      closing.abort(new Cut('closed'))
      return agent.destroy()
    },
  }
}

// undici answers a 101 that names a protocol with an error, and one that does not as if it were interim.
const switchedProtocols: Answer = { status: 101, headers: {}, body: null }

function toUndici(
  { url, headers, body, cut }: Post,
  resolve: (answer: Answer) => void,
): Dispatcher.RequestOptions {
  return {
    origin: url.origin,
    path: url.pathname + url.search,
    method: 'POST',
    headers,
    body,
    signal: cut.signal,
    onInfo: ({ statusCode }) => {
      // Neither a 101 nor a status below 100 has another status line behind it; the others are skipped
      // (skip-interim.ts).
      if (statusCode > 101) return
      resolve({ ...switchedProtocols, status: statusCode })
      cut.abort(new Cut('answered'))
    },
  }
}
