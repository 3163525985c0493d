import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { Listener } from '../../src/dispatch/listener.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { captureLog } from '../support/dispatcher.ts'
import { eventually } from '../support/eventually.ts'

let db: TestDatabase

before(async () => {
  db = await createTestDatabase()
})
after(() => db.drop())

/** A TCP proxy in front of Postgres that can swallow all bytes while its sockets stay open, or refuse. */
async function createProxy(): Promise<{
  url: string
  swallow(): void
  connections(): number
  close(): Promise<void>
}> {
  const target = new URL(db.url)
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createServer((inbound) => {
    connections++
    const outbound = connect(Number(target.port), target.hostname)
    for (const socket of [inbound, outbound]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        inbound.destroy()
        outbound.destroy()
      })
    }
    inbound.pipe(outbound)
    outbound.pipe(inbound)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = new URL(db.url)
  url.port = String((server.address() as AddressInfo).port)
  return {
    url: url.href,
    swallow: () => {
      for (const socket of sockets) {
        socket.unpipe()
        socket.resume()
      }
    },
    connections: () => connections,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

async function listening(count: number): Promise<void> {
  await eventually(
    async () => {
      const rows = await db.query(
        `select from pg_stat_activity where datname = current_database() and application_name = 'webhook-outbox listen'
         and query like 'LISTEN%' and state = 'idle'`,
      )
      assert.equal(rows.length, count)
    },
    { description: `${count} connection(s) listen` },
  )
}

function listener(url: string, checkIntervalMs = 60_000): { listener: Listener; wakes: () => number } {
  let wakes = 0
  const created = new Listener({
    url,
    log: captureLog().log,
    onWake: () => void wakes++,
    checkIntervalMs,
    retryIntervalMs: 20,
  })
  return { listener: created, wakes: () => wakes }
}

const notify = () => db.query(`select pg_notify('webhook_outbox', '')`)

test('a notification wakes, and an echo does not', async (t) => {
  const { listener: it, wakes } = listener(db.url, 20)
  onCleanup(t, () => it.stop())
  it.start()
  await eventually(() => assert.ok(wakes() > 0), { description: 'the connect wakes' })
  await db.query(`select pg_notify('webhook_outbox', 'an echo of some other listener')`)
  const before = wakes()
  await notify()
  await eventually(() => assert.equal(wakes(), before + 1))
})

test('a listener whose backend is terminated listens again, and wakes', async (t) => {
  const { listener: it, wakes } = listener(db.url)
  onCleanup(t, () => it.stop())
  it.start()
  await listening(1)
  const before = wakes()
  await db.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'webhook-outbox listen'
     and datname = current_database()`,
  )
  await eventually(() => assert.ok(wakes() > before), { description: 'the reconnect wakes' })
  await notify()
  await eventually(() => assert.ok(wakes() > before + 1), { description: 'a notification wakes' })
})

test('a half-open connection is noticed and replaced', async (t) => {
  const proxy = await createProxy()
  onCleanup(t, () => proxy.close())
  const { listener: it, wakes } = listener(proxy.url, 100)
  onCleanup(t, () => it.stop())
  it.start()
  await listening(1)
  proxy.swallow()
  await eventually(() => assert.ok(proxy.connections() > 1), { description: 'it connects anew' })
  const before = wakes()
  await eventually(async () => {
    await notify()
    assert.ok(wakes() > before)
  })
})

test('a listener that starts while Postgres is away listens once it is there', async (t) => {
  const proxy = await createProxy()
  await proxy.close()
  const { listener: it, wakes } = listener(proxy.url)
  onCleanup(t, () => it.stop())
  it.start()
  await new Promise((resolve) => setImmediate(resolve))
  const back = createServer((inbound) => {
    const outbound = connect(Number(new URL(db.url).port), '127.0.0.1')
    onCleanup(t, () => outbound.destroy())
    inbound.on('error', () => undefined).pipe(outbound.on('error', () => undefined))
    outbound.pipe(inbound)
  }).listen(Number(new URL(proxy.url).port), '127.0.0.1')
  onCleanup(t, () => back.close())
  onCleanup(t, () => it.stop())
  await listening(1)
  const before = wakes()
  await notify()
  await eventually(() => assert.ok(wakes() > before))
})

test('stop is safe before start, twice, and while Postgres is away', async () => {
  const { listener: it } = listener('postgres://nobody@127.0.0.1:9/nothing')
  await it.stop()
  it.start()
  await it.stop()
  const { listener: other } = listener('postgres://nobody@127.0.0.1:9/nothing')
  other.start()
  await other.stop()
  await other.stop()
})
