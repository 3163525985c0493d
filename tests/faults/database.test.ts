import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { eventually } from '../support/eventually.ts'
import { onCleanup } from '../support/cleanup.ts'
import { anyChange, startLoad } from './support/load.ts'
import { type FaultServer, startFaultServer } from './support/postgres.ts'
import { createWorld, POLL_MS, type World } from './support/world.ts'

/** Faults of the database, the quick ones: see database.fault.ts for the others. */
let server: FaultServer

before(async () => {
  server = await startFaultServer()
})
after(() => server.close())

/** Milliseconds from each of `count` commits to its arrival, each while the dispatchers sleep. */
async function latencies(world: World, count: number): Promise<number[]> {
  const hooks = await world.receiver()
  const producer = world.producer(hooks)
  const measured: number[] = []
  for (let n = 1; n <= count; n++) {
    await world.asleep()
    await producer.commit()
    const committedAt = performance.now()
    await hooks.waitFor(n)
    measured.push(hooks.requests[n - 1]!.at - committedAt)
  }
  return measured
}

async function terminate(world: World, applicationName: string): Promise<void> {
  await world.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name like $1 and pid <> pg_backend_pid()`,
    [applicationName],
  )
}

test('an immediate stop and start under load: all is delivered, and nothing twice but what the outage cut', async (t) => {
  const world = await createWorld(t, server)
  const { random } = world
  const hooks = await world.receiver(() => ({ status: 200, delayMs: random.between(0, 30) }))
  const dispatchers = [await world.dispatcher(), await world.dispatcher()]
  const load = startLoad(
    [anyChange(world.producer(hooks), random), anyChange(world.producer(hooks), random)],
    { random, everyMs: 10 },
  )
  for (let stops = 0; stops < 3; stops++) {
    await sleep(random.between(200, 800))
    await server.stopImmediately()
    await sleep(random.between(0, 500))
    await server.start()
    const acceptedAt = performance.now()
    const arrived = hooks.requests.length
    await hooks.waitFor(arrived + 1)
    const ms = performance.now() - acceptedAt
    world.measured('Postgres accepts connections to the first delivery', ms)
    assert.ok(ms < 5_000)
  }
  await load.stop()
  // A claim whose COMMIT was not answered holds rows that nobody sends until their lease is over.
  world.mayLoseLeases(3 * 2 * 64)
  await world.ledger()
  for (const { running } of dispatchers) assert.ok(running())
})

test("a listener's backend is terminated: the next events come as fast as by the poll, and later ones at once", async (t) => {
  const world = await createWorld(t, server)
  await world.dispatcher()
  for (let round = 0; round < 3; round++) {
    await terminate(world, 'webhook-outbox listen')
    const measured = await latencies(world, 3)
    world.measured('commit to arrival after the listener was terminated, the slowest', Math.max(...measured))
    assert.ok(Math.max(...measured) < POLL_MS + 1_000)
  }
  await world.ledger()
})

test('all backends are terminated again and again under load', async (t) => {
  const world = await createWorld(t, server)
  const { random } = world
  const hooks = await world.receiver()
  await world.dispatcher()
  await world.dispatcher()
  const load = startLoad(
    [anyChange(world.producer(hooks), random), anyChange(world.producer(hooks), random)],
    { random, everyMs: 10 },
  )
  for (let times = 0; times < 10; times++) {
    await sleep(random.between(50, 400))
    await terminate(world, '%')
  }
  await load.stop()
  world.mayLoseLeases(10 * 2 * 64)
  await world.ledger()
})

test('notifications that are lost cost at most the poll interval', async (t) => {
  const world = await createWorld(t, server)
  // A session in another database takes its sleep lock and listens there: no capture of ours sees or reaches it.
  const elsewhere = await server.createDatabase()
  onCleanup(t, () => elsewhere.drop())
  const dispatcher = await world.dispatcher({ env: { LISTEN_DATABASE_URL: elsewhere.url } })
  const measured = await latencies(world, 6)
  world.measured('commit to arrival with every notification lost, the slowest', Math.max(...measured))
  assert.ok(Math.max(...measured) < POLL_MS + 1_000)
  await world.ledger()
  await dispatcher.kill()
})

test('an old transaction that pins xmin holds up nobody', async (t) => {
  const world = await createWorld(t, server)
  const hooks = await world.receiver()
  const producer = world.producer(hooks)
  const old = new pg.Client({ connectionString: world.databaseUrl })
  await old.connect()
  try {
    await old.query('begin isolation level repeatable read')
    await old.query('select count(*) from webhook_outbox')
    await world.dispatcher()
    for (let round = 0; round < 5; round++) await producer.commitInBulk(400)
    await hooks.waitFor(2_000)
    const measured = await latencies(world, 5)
    world.measured(
      'commit to arrival with 2,000 dead rows that cannot be cleaned up, the slowest',
      Math.max(...measured),
    )
    assert.ok(Math.max(...measured) < POLL_MS + 1_000)
  } finally {
    await old.end()
  }
  const { duplicates } = await world.ledger()
  assert.equal(duplicates, 0)
})

test('a transaction that captured and stays open holds up nobody else, and is delivered when it commits', async (t) => {
  const world = await createWorld(t, server)
  const hooks = await world.receiver()
  const [task] = await world.producer(hooks).prepare(1)
  const open = new pg.Client({ connectionString: world.databaseUrl })
  await open.connect()
  try {
    await open.query('begin')
    await open.query(`update tasks set status = 'completed' where id = $1`, [task])
    await world.dispatcher()
    const producer = world.producer(hooks)
    for (let n = 1; n <= 5; n++) {
      await producer.commit()
      await hooks.waitFor(n)
    }
    await open.query('commit')
    await world.log.append({ outcome: 'committed', tasks: [task!] })
  } finally {
    await open.end()
  }
  await hooks.waitFor(6)
  await world.ledger()
})

test('every connection of Postgres is taken: what is owed waits, and flows when there is room', async (t) => {
  const world = await createWorld(t, server)
  const hooks = await world.receiver()
  const producer = world.producer(hooks)
  await producer.commitInBulk(1)
  const dispatcher = await world.dispatcher()
  await hooks.waitFor(1)
  // Its record must not be cut with the connections.
  await eventually(async () => assert.deepEqual(await world.query('select from webhook_outbox'), []))
  const taken: pg.Client[] = []
  // The one connection that is not among them.
  await world.query('select 1')
  const takeAll = async () => {
    for (;;) {
      const client = new pg.Client({ connectionString: world.databaseUrl })
      client.on('error', () => undefined)
      try {
        await client.connect()
      } catch {
        return
      }
      taken.push(client)
    }
  }
  try {
    // Frozen, it cannot have one back first.
    dispatcher.freeze()
    await terminate(world, 'dispatcher%')
    await terminate(world, 'webhook-outbox %')
    await takeAll()
    dispatcher.thaw()
    await producer.commitInBulk(50)
    await dispatcher.waitForLine((line) => JSON.stringify(line).includes('53300'), {
      description: 'no connection left',
    })
    await sleep(1_000)
  } finally {
    await Promise.all(taken.map((client) => client.end()))
  }
  const freedAt = performance.now()
  await hooks.waitFor(51)
  const ms = performance.now() - freedAt
  world.measured('room for connections to the last delivery', ms)
  assert.ok(ms < 5_000)
  await world.ledger()
})

test('what is rolled back is never sent, in part by a savepoint or as a whole', async (t) => {
  const world = await createWorld(t, server)
  const hooks = await world.receiver()
  const producer = world.producer(hooks)
  await world.dispatcher()
  await producer.rollBack(3)
  await producer.commitWithSavepoint(3)
  await producer.rollBack(3)
  await producer.commitInBulk(3)
  const { posts, duplicates, rolledBack } = await world.ledger()
  assert.deepEqual({ posts, duplicates, rolledBack }, { posts: 6, duplicates: 0, rolledBack: 9 })
})

for (const [what, table] of [
  ['the outbox', 'webhook_outbox'],
  ['the history', 'webhook_history'],
] as const) {
  test(`no space for ${what} (53100, raised by a trigger): changes fail whole, nothing is lost, and it heals`, async (t) => {
    const world = await createWorld(t, server)
    const hooks = await world.receiver()
    const producer = world.producer(hooks)
    // What was answered is recorded once there is space: its lease lasts long enough.
    const dispatcher = await world.dispatcher({ env: { LEASE: '20s' } })
    await world.query(`
      create function no_space() returns trigger language plpgsql as
      $$ begin raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$`)
    await world.query(
      `create trigger no_space before insert on ${table} for each row execute function no_space()`,
    )
    await producer.commit(5)
    await producer.commitInBulk(5)
    await sleep(1_500)
    const cpu = await dispatcher.cpuMs()
    const lines = dispatcher.lines.length
    await sleep(1_000)
    assert.ok(dispatcher.lines.length - lines < 5, 'it logs again and again')
    if (cpu !== null) assert.ok((await dispatcher.cpuMs())! - cpu < 500, 'it works again and again')
    await world.query(`drop trigger no_space on ${table}`)
    await producer.commit(5)
    const { committed, rolledBack, duplicates } = await world.ledger()
    const expected =
      table === 'webhook_outbox' ? { committed: 5, rolledBack: 10 } : { committed: 15, rolledBack: 0 }
    assert.deepEqual({ committed, rolledBack, duplicates }, { ...expected, duplicates: 0 })
  })
}
