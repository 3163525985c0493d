import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { Cut } from './cut.ts'
import type { Resolve } from './look-up.ts'

/** An address that a socket is about to be opened to. `host` is the name or literal in the URL. */
export interface Address {
  ip: string
  family: 4 | 6
  host: string
}

/** Says why an address is not allowed, or null where it is. */
export type CheckAddress = (address: Address) => string | null

/** How far an exchange has come, in words that continue "timed out while …". */
export interface Progress {
  phase:
    | 'waiting for a free socket'
    | 'resolving the name'
    | 'connecting'
    | 'in the TLS handshake'
    | 'waiting for headers'
}

export interface Target {
  hostname: string
  port: number
  secure: boolean
}

export class AddressNotAllowed extends Error {
  override name = 'AddressNotAllowed'
}

// One address that swallows packets must leave time for the others within the deadline.
const ATTEMPT_TIMEOUT_MS = 500
const KEEP_ALIVE_PROBE_AFTER_MS = 60_000
const MAX_HANDSHAKES = 4

/**
 * Opens a socket to a target, TLS included, only to addresses that were checked here: undici's and Node's
 * `lookup` hooks are not called for literals, and a second look-up could answer otherwise (DNS rebinding).
 * One address that is not allowed refuses them all. With several, Node tries one after the other
 * (`autoSelectFamily`).
 *
 * `signal` ends it at any point: it rejects with the signal's reason, and a socket that is still opening is
 * destroyed. Rejects with AddressNotAllowed or with Node's error.
 */
export async function openSocket(
  target: Target,
  { resolve, checkAddress, signal, progress }: OpenOptions,
): Promise<Socket> {
  const addresses = await addressesOf(target.hostname, resolve, progress)
  signal.throwIfAborted()
  for (const { address, family } of addresses) {
    const refusal = checkAddress?.({ ip: address, family: family === 6 ? 6 : 4, host: target.hostname })
    if (typeof refusal === 'string') throw new AddressNotAllowed(refusal)
  }
  progress.phase = 'connecting'
  return connect(target, addresses, signal, progress)
}

export interface OpenOptions {
  resolve: Resolve
  checkAddress?: CheckAddress | undefined
  signal: AbortSignal
  progress: Progress
}

async function addressesOf(hostname: string, resolve: Resolve, progress: Progress) {
  const family = isIP(hostname)
  if (family !== 0) return [{ address: hostname, family }]
  progress.phase = 'resolving the name'
  const addresses = await resolve(hostname)
  if (addresses.length === 0) throw Object.assign(new Error('no address'), { code: 'ENOTFOUND' })
  return addresses
}

type Addresses = Awaited<ReturnType<Resolve>>

function connect(
  target: Target,
  addresses: Addresses,
  signal: AbortSignal,
  progress: Progress,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = startConnecting(target, addresses, progress)
    const abort = () => socket.destroy(signal.reason as Error)
    signal.addEventListener('abort', abort, { once: true })
    // Stays for the socket's whole life: an 'error' that nobody listens to would end the process.
    socket.on('error', (error) => {
      signal.removeEventListener('abort', abort)
      reject(error)
    })
    socket.once(target.secure ? 'secureConnect' : 'connect', () => {
      signal.removeEventListener('abort', abort)
      progress.phase = 'waiting for headers'
      resolve(socket)
    })
  })
}

function startConnecting(target: Target, addresses: Addresses, progress: Progress): Socket {
  const options = {
    host: target.hostname,
    port: target.port,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: ATTEMPT_TIMEOUT_MS,
    lookup: (_name: string, _options: object, callback: (error: null, addresses: Addresses) => void) => {
      callback(null, addresses)
    },
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_PROBE_AFTER_MS,
  }
  if (!target.secure) return connectTcp(options)
  // SNI takes neither addresses nor a root dot (RFC 6066, section 3).
  const servername = isIP(target.hostname) === 0 ? target.hostname.replace(/\.$/, '') : ''
  const socket = connectTls({ ...options, servername, ALPNProtocols: ['http/1.1'] })
  socket.once('connect', () => {
    progress.phase = 'in the TLS handshake'
  })
  // Servers are found that ask for a client's certificate only after its request. Node limits how often clients may ask
  // for a new handshake, but not servers.
  let handshakes = 0
  socket.on('secureConnect', () => {
    handshakes += 1
    if (handshakes > MAX_HANDSHAKES) socket.destroy(new Cut('handshakes'))
  })
  return socket
}
