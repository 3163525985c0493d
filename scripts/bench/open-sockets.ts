import { readFileSync } from 'node:fs'

// See proc_net(5): states are hexadecimal, and a socket in TIME_WAIT belongs to no process any more.
const TIME_WAIT = '06'

/** How many sockets to these ports of 127.0.0.1 are open at the end that called; null where there is no /proc. */
export function openSocketsTo(ports: ReadonlySet<number>): number | null {
  let text: string
  try {
    text = readFileSync('/proc/self/net/tcp', 'utf8')
  } catch {
    return null
  }
  let open = 0
  for (const line of text.split('\n').slice(1)) {
    const [, , remote, state, , , , , , inode] = line.trim().split(/\s+/)
    if (remote === undefined || state === TIME_WAIT || inode === '0') continue
    if (ports.has(Number.parseInt(remote.slice(remote.indexOf(':') + 1), 16))) open += 1
  }
  return open
}

/** Looks four times a second; the function that it returns ends that, and says what was the most. */
export function watchSockets(ports: number[]): () => number | null {
  const known = new Set(ports)
  let most: number | null = null
  const look = () => {
    const open = openSocketsTo(known)
    if (open !== null) most = Math.max(most ?? 0, open)
  }
  const timer = setInterval(look, 250)
  return () => {
    clearInterval(timer)
    return most
  }
}
