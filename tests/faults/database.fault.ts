import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'node:path'
import pg from 'pg'
import { request } from 'undici'
import { onCleanup } from '../support/cleanup.ts'
import { eventually } from '../support/eventually.ts'
import { type ServiceProcess, startProcess } from './support/dispatcher.ts'
import { anyChange, startLoad } from './support/load.ts'
import { isConnectionLoss } from './support/producer.ts'
import { type FaultServer, startFaultServer } from './support/postgres.ts'
import { mountSmallDisk } from './support/small-disk.ts'
import { createWorld, MAX_IN_FLIGHT, POLL_MS } from './support/world.ts'

/** Faults of the database that take their time. */
let server: FaultServer

before(async () => {
  server = await startFaultServer()
})
after(() => server.close())

/** What a process does over `ms`, for a bound on its hot loops. */
async function idleWork(process: ServiceProcess, ms: number): Promise<{ lines: number; cpuShare: number }> {
  const [lines, cpu] = [process.lines.length, await process.cpuMs()]
  await sleep(ms)
  const after = await process.cpuMs()
  return { lines: process.lines.length - lines, cpuShare: cpu === null ? 0 : (after! - cpu) / ms }
}

test('Postgres is down for a minute: no hot loop meanwhile, and deliveries flow within 5 s without a restart', async (t) => {
  const world = await createWorld(t, server)
  const hooks = await world.receiver()
  const producer = world.producer(hooks)
  const dispatcher = await world.dispatcher()
  await producer.commit(3)
  await hooks.waitFor(3)
  await world.settled()
  hooks.hold()
  // These are answered while nobody can record it; their lease is over long before Postgres is back.
  await producer.commitInBulk(5)
  await hooks.waitFor(8)
  await server.stopImmediately()
  hooks.release()
  const { lines, cpuShare } = await idleWork(dispatcher, 60_000)
  t.diagnostic(
    `in a minute without Postgres: ${lines} log lines, ${(cpuShare * 100).toFixed(1)} % of a processor`,
  )
  assert.ok(lines < 60, `${lines} lines`)
  assert.ok(cpuShare < 0.2)
  await server.start()
  const acceptedAt = performance.now()
  const arrived = hooks.requests.length
  await producer.commit(1)
  await hooks.waitFor(arrived + 1)
  const ms = performance.now() - acceptedAt
  world.measured('Postgres accepts connections after a minute to the first delivery', ms)
  assert.ok(ms < 5_000)
  world.mayLoseLeases(5)
  await world.ledger()
  assert.ok(dispatcher.running())
})

test('a half-open LISTEN connection is noticed within 15 s, and delays nothing beyond the poll and a second', async (t) => {
  const world = await createWorld(t, server)
  const proxy = await world.proxy()
  const dispatcher = await world.dispatcher({ listenThrough: proxy })
  const hooks = await world.receiver()
  const producer = world.producer(hooks)
  await world.asleep()
  proxy.swallow()
  const swallowedAt = performance.now()
  const noticed = dispatcher
    .waitForLine((line) => line.msg === 'the listener does not answer: its connection is replaced')
    .then(() => performance.now() - swallowedAt)
  let slowest = 0
  for (let n = 1; performance.now() - swallowedAt < 16_000; n++) {
    await producer.commit()
    const committedAt = performance.now()
    await hooks.waitFor(n)
    slowest = Math.max(slowest, hooks.requests[n - 1]!.at - committedAt)
    // Long enough for the dispatcher to fall asleep, or to try to.
    await sleep(world.random.between(0, 700))
  }
  world.measured('a half-open LISTEN connection is noticed after', await noticed)
  world.measured('commit to arrival meanwhile, the slowest', slowest)
  assert.ok((await noticed) < 15_000)
  assert.ok(slowest < POLL_MS + 1_000, `${slowest} ms`)
  const { duplicates } = await world.ledger()
  assert.equal(duplicates, 0)
})

test('SIGTERM while Postgres is away: it ends with 0 within its grace and 5 s', async (t) => {
  const world = await createWorld(t, server)
  const hooks = await world.receiver()
  const dispatcher = await world.dispatcher({ env: { SHUTDOWN_GRACE: '1s' } })
  hooks.hold()
  await world.producer(hooks).commitInBulk(5)
  await hooks.waitFor(5)
  await server.stopImmediately()
  hooks.release()
  const { code, ms } = await dispatcher.terminate()
  world.measured('SIGTERM to exit while Postgres is away (grace 1 s)', ms)
  assert.equal(code, 0)
  assert.ok(ms < 1_000 + 5_000)
  await server.start()
  world.mayLoseLeases(5)
  await world.dispatcher()
  await world.ledger()
})

test('SIGTERM while every connection is half-open: it ends', async (t) => {
  const world = await createWorld(t, server)
  const proxy = await world.proxy()
  const through = { listenThrough: proxy, databaseThrough: proxy }
  const dispatcher = await world.dispatcher({ ...through, env: { SHUTDOWN_GRACE: '1s' } })
  await world.asleep()
  proxy.swallow({ newOnesToo: true })
  const { code, ms } = await dispatcher.terminate()
  world.measured('SIGTERM to exit while every connection is half-open (grace 1 s)', ms)
  assert.equal(code, 0)
  assert.ok(ms < 25_000)
  await world.ledger()
})

test('every connection is half-open: deliveries flow again once the queries have timed out', async (t) => {
  const world = await createWorld(t, server)
  const proxy = await world.proxy()
  await world.dispatcher({ listenThrough: proxy, databaseThrough: proxy })
  const hooks = await world.receiver()
  const producer = world.producer(hooks)
  await producer.commit()
  await hooks.waitFor(1)
  await world.settled()
  proxy.swallow()
  const swallowedAt = performance.now()
  await producer.commit()
  await hooks.waitFor(2, { timeoutMs: 40_000 })
  world.measured('every connection half-open to the next delivery', performance.now() - swallowedAt)
  world.mayLoseLeases(2)
  await world.ledger()
})

test('a slow network to Postgres, cut again and again', async (t) => {
  const world = await createWorld(t, server)
  const { random } = world
  const proxy = await world.proxy()
  const hooks = await world.receiver()
  await world.dispatcher({ listenThrough: proxy, databaseThrough: proxy })
  await world.dispatcher()
  const load = startLoad([anyChange(world.producer(hooks), random)], { random, everyMs: 20 })
  for (let times = 0; times < 15; times++) {
    proxy.delay(random.between(0, 60))
    await sleep(random.between(100, 500))
    proxy.cut()
  }
  proxy.delay(0)
  await load.stop()
  world.mayLoseLeases(15 * 64)
  await world.ledger()
})

test('a listener in a transaction fills the notification queue: a warning comes long before, and changes still commit', async (t) => {
  if (server.version < 170_000) return t.skip('max_notify_queue_pages came with PostgreSQL 17')
  await server.stopImmediately()
  await server.start({ max_notify_queue_pages: '64' })
  onCleanup(t, async () => {
    await server.stopImmediately()
    await server.start({})
  })
  const world = await createWorld(t, server)
  const hooks = await world.receiver()
  const producer = world.producer(hooks)
  const dispatcher = await world.dispatcher()
  const pins = new pg.Client({ connectionString: world.databaseUrl })
  await pins.connect()
  await pins.query('listen anything')
  await pins.query('begin')
  await pins.query('select 1')
  const notify = (count: number) =>
    world.query(
      `select pg_notify('anything', n || repeat('x', 7000)) from generate_series(1, $1::integer) n`,
      [count],
    )
  const usage = async () =>
    (await world.query<{ usage: number }>('select pg_notification_queue_usage() as usage'))[0]!.usage

  while ((await usage()) < 0.3) await notify(5)
  const line = await dispatcher.waitForLine((l) => /notification queue/.test(l.msg ?? ''), {
    timeoutMs: 60_000,
  })
  assert.equal(line['level'], 'warn')
  // To the brim: any NOTIFY fails from now on.
  for (let full = false; !full;) {
    await notify(1).catch((error: unknown) => {
      if ((error as { code?: string }).code !== '54000') throw error
      full = true
    })
  }
  t.diagnostic(`usage of the queue: ${await usage()}`)
  // The queue is looked at with each poll, and was filled in less time than that.
  await world.nobodySleeps()
  for (let n = 1; n <= 5; n++) {
    await sleep(300)
    await producer.commit()
    await hooks.waitFor(n)
  }
  await pins.end()
  await dispatcher.waitForLine((l) => /notification queue.*again/.test(l.msg ?? ''), { timeoutMs: 60_000 })
  await world.asleep()
  await producer.commit()
  await world.ledger()
})

test('no listener of this service sits in a transaction', async (t) => {
  const world = await createWorld(t, server)
  const hooks = await world.receiver()
  await world.dispatcher()
  const load = startLoad([anyChange(world.producer(hooks), world.random)], {
    random: world.random,
    everyMs: 100,
  })
  for (let looks = 0; looks < 100; looks++) {
    const sessions = await world.query(
      `select application_name, query from pg_stat_activity
       where datname = current_database() and application_name like 'webhook-outbox %'
         and (state like 'idle in transaction%' or xact_start < clock_timestamp() - interval '1 s')`,
    )
    assert.deepEqual(sessions, [])
    await sleep(20)
  }
  await load.stop()
  await world.ledger()
})

test('a producer that is killed around its COMMIT, many times: both or neither', async (t) => {
  const world = await createWorld(t, server)
  const hooks = await world.receiver()
  await world.dispatcher()
  for (let kills = 0; kills < 12; kills++) {
    const child = startProcess({
      name: `producer ${kills}`,
      entry: join(import.meta.dirname, 'support/producer-child.ts'),
      env: { DATABASE_URL: world.databaseUrl, WEBHOOK_URL: hooks.url(), NOTES: world.log.path },
    })
    onCleanup(t, () => child.kill())
    await child.waitForLine((line) => line.msg === 'producing')
    await sleep(world.random.between(0, 60))
    await child.kill()
  }
  const { duplicates } = await world.ledger()
  assert.equal(duplicates, 0)
})

test('a disk that is full: no lost event, no crash loop, and it heals', async (t) => {
  const disk = await mountSmallDisk(220)
  if (!disk) return t.skip('nothing can be mounted here; database.test.ts raises the error codes instead')
  onCleanup(t, () => disk.unmount())
  const full = await startFaultServer(join(disk.directory, 'server'))
  onCleanup(t, () => full.close())
  const world = await createWorld(t, full)
  const hooks = await world.receiver()
  const dispatchers = [await world.dispatcher(), await world.dispatcher()]
  const refused = new Set<string>()
  let stopping = false
  const producer = world.producer(hooks)
  const producing = (async () => {
    while (!stopping) {
      await producer.commitInBulk(200).catch((error: unknown) => {
        refused.add(String((error as { code?: string }).code))
        if (!isConnectionLoss(error)) throw error
      })
      await sleep(20)
    }
  })()
  await hooks.waitFor(1_000)
  await disk.fill()
  await eventually(() => assert.ok(refused.size > 0), {
    timeoutMs: 60_000,
    description: 'changes are refused',
  })
  const { lines } = await idleWork(dispatchers[0]!, 4_000)
  t.diagnostic(`changes were refused with ${[...refused].join(', ')}; ${lines} log lines in 4 s`)
  await disk.free()
  // A server whose log of changes had no space left has ended itself.
  await full.stopImmediately()
  await full.start()
  stopping = true
  await producing
  await producer.commitInBulk(10)
  world.mayLoseLeases(2 * 64)
  await world.ledger()
  for (const { running } of dispatchers) assert.ok(running())
})

test('the API while Postgres is away: 503 problems with Retry-After, never a hang, and healthy again by itself', async (t) => {
  const world = await createWorld(t, server)
  const api = await world.api()
  const hooks = await world.receiver()
  await world.dispatcher()
  const producer = world.apiProducer(() => api, hooks)
  const load = startLoad([() => producer.commit()], { random: world.random, everyMs: 50 })
  await hooks.waitFor(5)
  const get = async (path: string) => {
    const start = performance.now()
    const { statusCode, headers, body } = await request(`${api.url}${path}`, { headersTimeout: 20_000 })
    return { status: statusCode, headers, body: await body.json(), ms: performance.now() - start }
  }
  assert.equal((await get('/readyz')).status, 200)
  await server.stopImmediately()
  for (let times = 0; times < 3; times++) {
    const problem = await get('/api/v1/projects')
    assert.equal(problem.status, 503)
    assert.equal(problem.headers['content-type'], 'application/problem+json')
    assert.match(String(problem.headers['retry-after']), /^\d+$/)
    const ready = await get('/readyz')
    assert.equal(ready.status, 503)
    assert.match(JSON.stringify(ready.body), /Postgres/)
    assert.equal((await get('/livez')).status, 200)
    assert.ok(problem.ms < 10_000 && ready.ms < 5_000)
  }
  await server.start()
  const acceptedAt = performance.now()
  await eventually(async () => assert.equal((await get('/readyz')).status, 200))
  assert.equal((await get('/api/v1/projects')).status, 200)
  world.measured('Postgres accepts connections to a healthy API', performance.now() - acceptedAt)
  await load.stop()
  assert.ok(api.running())
  world.mayLoseLeases(MAX_IN_FLIGHT)
  await world.ledger()
})
