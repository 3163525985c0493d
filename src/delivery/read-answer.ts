import { StringDecoder } from 'node:string_decoder'
import type { Dispatcher } from 'undici'
import type { Connection } from './connection.ts'
import { Cut } from './cut.ts'
import { allowBody, allowFraming, allowHead } from './guard-answer.ts'
import { storableText } from './storable-text.ts'

/** `response`: the first at most 2 KiB of the body's bytes as UTF-8, storable in Postgres. */
export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  response: string
}

/**
 * - `signal`: ends the exchange, and its socket with it
 * - `remainingMs`: how long until the deadline, for what is dropped after the reading
 */
export interface ReadOptions {
  signal: AbortSignal
  remainingMs: () => number
}

const RESPONSE_BYTES = 2 * 1024
const DROP_BYTES = 64 * 1024
const DROP_MS = 1_000

/**
 * Sends a request over a connection and reads the start of its answer. Rejects where no final status line comes, with
 * the error or the signal's reason; once it has come, it stands, whatever becomes of the body (contract, section 3).
 *
 * A remainder that is small and comes at once is read and dropped after the promise has settled, so that the
 * connection can be used again; anything else destroys it.
 */
export function readAnswer(
  { client, allowance }: Connection,
  request: Dispatcher.DispatchOptions,
  { signal, remainingMs }: ReadOptions,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let head: Omit<Answer, 'response'> | null = null
    let size = 0
    let controller: Dispatcher.DispatchController | undefined
    let dropTimer: NodeJS.Timeout | undefined
    let settled = false

    const settle = (error: Error | null) => {
      if (settled) return
      settled = true
      signal.removeEventListener('abort', abort)
      if (head) resolve({ ...head, response: decode(chunks) })
      else reject(error!)
    }
    // undici frees a connection by an immediate that it sets after it told of the answer's end; a send before that would
    // open another.
    const settleSoon = () => queueMicrotask(() => setImmediate(settle, null))
    const abort = () => {
      settle(signal.reason as Error)
      controller?.abort(signal.reason as Error)
    }
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    allowHead(allowance)

    client.dispatch(request, {
      onRequestStart(started) {
        controller = started
        if (settled) started.abort(signal.reason as Error)
      },
      onResponseStart(_, status, headers) {
        head = { status, headers }
        allowFraming(allowance)
        // A 101 that names no protocol, or a status below 100: nothing comes after it. Others are skipped before.
        if (status >= 200) return
        settle(null)
        controller?.abort(enough)
      },
      onResponseData(_, chunk) {
        allowBody(allowance, chunk.length)
        if (size < RESPONSE_BYTES) chunks.push(chunk)
        size += chunk.length
        if (size > RESPONSE_BYTES + DROP_BYTES) controller?.abort(enough)
        if (size < RESPONSE_BYTES || dropTimer) return
        dropTimer = setTimeout(() => controller?.abort(enough), Math.min(DROP_MS, remainingMs()))
        settleSoon()
      },
      onResponseEnd() {
        clearTimeout(dropTimer)
        settleSoon()
      },
      onResponseError(_, error) {
        clearTimeout(dropTimer)
        // A 101 that names a protocol.
        if (error.message === 'bad upgrade') head = { status: 101, headers: {} }
        settle(error)
      },
    })
  })
}

const enough = new Cut('answered')

function decode(chunks: Buffer[]): string {
  const bytes = Buffer.concat(chunks)
  // The decoder leaves out a character that the limit splits.
  const text =
    bytes.length > RESPONSE_BYTES
      ? new StringDecoder('utf8').write(bytes.subarray(0, RESPONSE_BYTES))
      : bytes.toString()
  return storableText(text)
}
