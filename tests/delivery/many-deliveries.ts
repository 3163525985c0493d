import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createSender, type Sender } from '../../src/delivery/send.ts'
import { kinds, type Kind, type Ports } from './receivers-child.ts'
import { deliveryTo } from './receivers.ts'

export interface ManyOptions {
  deliveries: number
  atOnce: number
  maxSockets: number
  /** Receivers of each kind. */
  receivers: number
}

/**
 * - `open`: sockets of the sender, at most at any time, and after its close
 * - `growth`: bytes that stayed in memory between the first tenth of the deliveries and the last
 * - `kernel`: sockets to the receivers as the kernel sees them after the close; null where there is no /proc
 */
export interface ManyResult {
  answered: Record<Kind, number>
  failed: Record<Kind, Set<string>>
  opened: number
  open: { most: number; afterClose: number }
  growth: number
  kernel: { open: number; timeWait: number } | null
}

/** Delivers to receivers in another process that keep connections, close them, reset them, or are slow. */
export async function deliverMany(options: ManyOptions): Promise<ManyResult> {
  const child = fork(join(import.meta.dirname, 'receivers-child.ts'), { execArgv: ['--import', 'tsx'] })
  child.send(options.receivers)
  const [ports] = (await once(child, 'message')) as [Ports]
  const sockets = watchSockets()
  const { maxSockets } = options
  const sender = createSender({ timeoutMs: 10_000, version: '1.2.3', maxSockets })
  try {
    const result = await deliver(sender, ports, options)
    await sender.close()
    return {
      ...result,
      opened: sockets.opened(),
      open: { most: sockets.most(), afterClose: sockets.open() },
      kernel: inKernel(new Set(Object.values(ports).flat())),
    }
  } finally {
    await sender.close()
    sockets.stop()
    child.disconnect()
    await once(child, 'exit')
  }
}

async function deliver(sender: Sender, ports: Ports, { deliveries, atOnce }: ManyOptions) {
  const answered: ManyResult['answered'] = { keeps: 0, closes: 0, 'hangs up': 0, resets: 0, slow: 0 }
  const failed = Object.fromEntries(kinds.map((kind) => [kind, new Set()])) as ManyResult['failed']
  let next = 0
  const until = async (end: number) => {
    while (next < end) {
      const at = next++
      const kind = kinds[at % kinds.length]!
      const port = ports[kind][Math.floor(at / kinds.length) % ports[kind].length]!
      const exchange = await sender.send(deliveryTo(`http://127.0.0.1:${port}/hook`))
      if (exchange.kind === 'answered') answered[kind] += 1
      else failed[kind].add(exchange.error.replace(/:\d+$/, ''))
    }
  }
  const all = (end: number) => Promise.all(Array.from({ length: atOnce }, () => until(end)))
  await all(deliveries / 10)
  const before = memoryInUse()
  await all(deliveries)
  return { answered, failed, growth: memoryInUse() - before }
}

/** Every socket that this process opens by `net.connect`, while it is not destroyed. */
function watchSockets() {
  const open = new Set<Socket>()
  let opened = 0
  let most = 0
  const count = () => {
    for (const socket of open) if (socket.destroyed) open.delete(socket)
    return open.size
  }
  const onSocket = (message: unknown) => {
    opened += 1
    open.add((message as { socket: Socket }).socket)
    most = Math.max(most, count())
  }
  subscribe('net.client.socket', onSocket)
  return {
    open: count,
    opened: () => opened,
    most: () => most,
    stop: () => unsubscribe('net.client.socket', onSocket),
  }
}

function memoryInUse(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

// See proc_net(5): a socket that no process has any more has no inode.
const TIME_WAIT = '06'

function inKernel(ports: ReadonlySet<number>): ManyResult['kernel'] {
  let table: string
  try {
    table = readFileSync('/proc/self/net/tcp', 'utf8')
  } catch {
    return null
  }
  const found = { open: 0, timeWait: 0 }
  for (const line of table.split('\n').slice(1)) {
    const [, , remote, state, , , , , , inode] = line.trim().split(/\s+/)
    if (remote === undefined || !ports.has(Number.parseInt(remote.split(':')[1]!, 16))) continue
    if (state === TIME_WAIT) found.timeWait += 1
    else if (inode !== '0') found.open += 1
  }
  return found
}

const MAX_GROWTH = 16 * 1024 * 1024

export async function assertNothingLeaks(options: ManyOptions): Promise<ManyResult> {
  const result = await deliverMany(options)
  const { answered, failed, opened, open, growth, kernel } = result
  const ofEachKind = options.deliveries / kinds.length
  for (const kind of ['keeps', 'closes', 'slow'] as const) {
    assert.deepEqual([...failed[kind]], [], kind)
    assert.equal(answered[kind], ofEachKind)
  }
  // A receiver that hangs up without notice may do so under the next request.
  for (const kind of ['hangs up', 'resets'] as const) {
    for (const error of failed[kind]) assert.match(error, /^connection (reset|closed)/)
    assert.ok(answered[kind] > ofEachKind / 2, `${kind}: ${answered[kind]}`)
  }
  assert.ok(open.most > 1 && open.most <= options.maxSockets, `${open.most} sockets at once`)
  assert.equal(open.afterClose, 0)
  if (kernel) {
    assert.equal(kernel.open, 0)
    assert.ok(kernel.timeWait <= opened, `${kernel.timeWait} of ${opened} in TIME_WAIT`)
  }
  assert.ok(growth < MAX_GROWTH, `${growth / 1e6} MB`)
  return result
}
