import type { Socket } from 'node:net'
import { Cut } from './cut.ts'

/** How many bytes of an answer may still come that are not its body. */
export interface Allowance {
  bytes: number
}

const MAX_HEAD_BYTES = 16 * 1024
const MAX_FRAMING_BYTES = 4 * 1024
const MAX_INTERIM_ANSWERS = 64
const INTERIM = /^HTTP\/\d\.\d 1(?!01)\d\d[ \r]/
const EXAMPLE = 'HTTP/1.1 100 '

/** An answer's status line and headers. */
export const allowHead = (allowance: Allowance): void => void (allowance.bytes = MAX_HEAD_BYTES)
/** Once they have come: the sizes and extensions of chunks, and trailers. */
export const allowFraming = (allowance: Allowance): void => void (allowance.bytes = MAX_FRAMING_BYTES)
export const allowBody = (allowance: Allowance, bytes: number): void => void (allowance.bytes += bytes)

/**
 * Stands between a socket and undici, and destroys the socket with a Cut where an answer asks too much.
 *
 * - undici counts the names and values of headers only, and each by itself costs it far more than its bytes: a second
 *   of everybody's time for 64 KB of empty ones. Status lines, chunk extensions and empty lines it reads without an
 *   end. So no more than `allowance` gets to its parser, which is told of every byte of a body (RFC 9112, 7.1.1 asks
 *   for such a limit).
 * - Interim answers (1xx, but for 101, which is final) are taken out. A client must be able to parse those that it did
 *   not ask for (RFC 9110, 15.2), and servers are found that send 100 to every POST. undici 8 destroys the socket at a
 *   100, so that the final status is never seen. More than 64, or one longer than 16 KiB, are too many.
 */
export function guardAnswer(socket: Socket, allowance: Allowance): void {
  const read = socket.read.bind(socket)
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
  let awaitsAnswer = false
  let interim = 0
  let held: Buffer | null = null

  socket.write = (...args: unknown[]) => {
    awaitsAnswer = true
    interim = 0
    return write(...args)
  }

  socket.read = (): Buffer | null => {
    for (;;) {
      const tooMany = socket.readableLength > Math.max(allowance.bytes, 0)
      if (tooMany && allowance.bytes <= 0) return end('endless answer')
      const chunk = read(tooMany ? allowance.bytes : undefined) as Buffer | null
      if (chunk === null) return null
      const bytes = awaitsAnswer ? skipInterim(held ? Buffer.concat([held, chunk]) : chunk) : chunk
      if (bytes === null) continue
      awaitsAnswer = false
      allowance.bytes -= bytes.length
      return bytes
    }
  }

  /** Gives the bytes from the first other status line on, or holds them and gives null where it has not come. */
  function skipInterim(bytes: Buffer): Buffer | null {
    held = null
    for (;;) {
      const start = bytes.toString('latin1', 0, EXAMPLE.length)
      if (!INTERIM.test(start + EXAMPLE.slice(start.length))) return bytes
      const headEnd = start.length < EXAMPLE.length ? -1 : bytes.indexOf('\r\n\r\n')
      if (interim > MAX_INTERIM_ANSWERS || (headEnd < 0 && bytes.length > MAX_HEAD_BYTES)) {
        return end('interim answers')
      }
      if (headEnd < 0) {
        held = bytes
        return null
      }
      interim += 1
      bytes = bytes.subarray(headEnd + 4)
    }
  }

  function end(why: Cut['why']): null {
    socket.destroy(new Cut(why))
    return null
  }
}
