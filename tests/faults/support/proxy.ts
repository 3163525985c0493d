import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A TCP proxy on 127.0.0.1 in front of a port there. */
export interface Proxy {
  /** The same URL, through this proxy. */
  through(url: string): string
  /** Holds each piece of data back for so long, in both directions, from now on; 0 ends it. */
  delay(ms: number): void
  /** Ends all open connections by a reset; new ones are accepted. */
  cut(): void
  /**
   * From now on the bytes of the connections that are open vanish, and neither side is told of the other's end: half-open
   * sockets. New connections work, unless they too are to be swallowed.
   */
  swallow(options?: { newOnesToo?: boolean }): void
  /** New connections work again; what is half-open stays so. */
  heal(): void
  /** How many connections were accepted so far. */
  accepted(): number
  close(): Promise<void>
}

interface Link {
  inbound: Socket
  outbound: Socket
  swallowed: boolean
}

export async function createProxy(targetPort: number): Promise<Proxy> {
  const links = new Set<Link>()
  let delayMs = 0
  let swallowNew = false
  let accepted = 0

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (inbound) => {
    accepted++
    const outbound = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    const link: Link = { inbound, outbound, swallowed: swallowNew }
    links.add(link)
    const forward = (from: Socket, to: Socket) => {
      from.on('error', () => undefined)
      from.on('data', (data: Buffer) => {
        if (delayMs === 0) pass(link, () => to.write(data))
        else setTimeout(() => pass(link, () => to.write(data)), delayMs)
      })
      from.on('close', () => {
        // Whoever is at the other side of a half-open socket learns nothing.
        if (!link.swallowed) to.destroy()
        if (inbound.destroyed && outbound.destroyed) links.delete(link)
      })
      from.on('end', () => pass(link, () => to.end()))
    }
    forward(inbound, outbound)
    forward(outbound, inbound)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  return {
    through: (url) => {
      const changed = new URL(url)
      changed.port = String(port)
      return changed.href
    },
    delay: (ms) => void (delayMs = ms),
    cut: () => {
      for (const { inbound, outbound } of links) {
        inbound.resetAndDestroy()
        outbound.resetAndDestroy()
      }
    },
    swallow: ({ newOnesToo = false } = {}) => {
      for (const link of links) link.swallowed = true
      swallowNew = newOnesToo
    },
    heal: () => void (swallowNew = false),
    accepted: () => accepted,
    close: async () => {
      for (const { inbound, outbound } of links) {
        inbound.destroy()
        outbound.destroy()
      }
      if (!server.listening) return
      server.close()
      await once(server, 'close')
    },
  }
}

function pass(link: Link, action: () => void): void {
  if (!link.swallowed) action()
}
