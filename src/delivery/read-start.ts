import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { storableText } from './storable-text.ts'

const DRAIN_BYTES = 64 * 1024
const DRAIN_MS = 1_000

/**
 * - `limit`: how many bytes to read
 * - `signal`: ends the reading
 * - `remainingMs`: how long until the deadline, for what is dropped after the reading
 */
export interface ReadOptions {
  limit: number
  signal: AbortSignal
  remainingMs: () => number
}

/**
 * Reads the start of an answer's body as text. Never rejects: a body that breaks off, or that `signal` ends,
 * gives what came.
 *
 * A remainder that is small and comes at once is read and dropped after the promise has settled, so that the
 * connection can be used again; anything else destroys it.
 */
export function readStart(body: Readable, { limit, signal, remainingMs }: ReadOptions): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    let dropTimer: NodeJS.Timeout | undefined
    let finished = false
    const finish = () => {
      if (finished) return
      finished = true
      signal.removeEventListener('abort', finish)
      resolve(decode(chunks, limit))
    }
    signal.addEventListener('abort', finish, { once: true })
    if (signal.aborted) finish()

    body.on('data', (chunk: Buffer) => {
      if (size < limit) chunks.push(chunk)
      size += chunk.length
      if (size > limit + DRAIN_BYTES) body.destroy()
      if (size < limit || dropTimer) return
      dropTimer = setTimeout(() => body.destroy(), Math.min(DRAIN_MS, remainingMs()))
      setImmediate(finish)
    })
    // A stream that breaks off emits 'error' and then 'close', one that ends well 'end' and then 'close'.
    body.on('error', () => undefined)
    // undici frees a connection one turn of the event loop after its answer; a send before that would open
    // another.
    body.once('end', () => setImmediate(finish))
    body.once('close', () => {
      clearTimeout(dropTimer)
      setImmediate(finish)
    })
    if (body.destroyed) finish()
  })
}

function decode(chunks: Buffer[], limit: number): string {
  const bytes = Buffer.concat(chunks)
  // The decoder leaves out a character that the limit splits.
  const text =
    bytes.length > limit ? new StringDecoder('utf8').write(bytes.subarray(0, limit)) : bytes.toString()
  return storableText(text)
}
