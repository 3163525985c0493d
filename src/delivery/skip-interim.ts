import type { Socket } from 'node:net'
import { Cut } from './cut.ts'

const MAX_INTERIM_ANSWERS = 64
const MAX_HEAD_BYTES = 16 * 1024
const INTERIM = /^HTTP\/\d\.\d 1(?!01)\d\d[ \r]/
const EXAMPLE = 'HTTP/1.1 100 '

/**
 * Takes interim answers (1xx, but for 101, which is final) out of what undici reads from a socket.
 *
 * A client must be able to parse those that it did not ask for (RFC 9110, 15.2), and servers are found that
 * send 100 to every POST. undici 8 destroys the socket at a 100, so that the final status is never seen. Only
 * the bytes between a request's write and its first other status line are looked at. More than 64, or one
 * longer than 16 KiB, destroy the socket with a Cut.
 */
export function skipInterim(socket: Socket): void {
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

  socket.read = (size?: number): Buffer | null => {
    for (;;) {
      const chunk = read(size) as Buffer | null
      if (!awaitsAnswer || chunk === null) return chunk
      const rest = skip(held ? Buffer.concat([held, chunk]) : chunk)
      if (rest === null) continue
      awaitsAnswer = false
      return rest
    }
  }

  /** Gives the bytes from the first other status line on, or holds them and gives null where it has not come. */
  function skip(bytes: Buffer): Buffer | null {
    held = null
    for (;;) {
      const start = bytes.toString('latin1', 0, EXAMPLE.length)
      if (!INTERIM.test(start + EXAMPLE.slice(start.length))) return bytes
      const end = start.length < EXAMPLE.length ? -1 : bytes.indexOf('\r\n\r\n')
      if (interim > MAX_INTERIM_ANSWERS || (end < 0 && bytes.length > MAX_HEAD_BYTES)) {
        socket.destroy(new Cut('interim answers'))
        return null
      }
      if (end < 0) {
        held = bytes
        return null
      }
      interim += 1
      bytes = bytes.subarray(end + 4)
    }
  }
}
