import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { anyChange, startLoad } from './support/load.ts'
import { type FaultServer, startFaultServer } from './support/postgres.ts'
import { createWorld } from './support/world.ts'

/** Faults of a process that take their time. */
let server: FaultServer

before(async () => {
  server = await startFaultServer()
})
after(() => server.close())

test('kill -9 at random, many times, under load', async (t) => {
  const world = await createWorld(t, server)
  const { random } = world
  const steady = await world.receiver(() => ({ status: 200, delayMs: random.between(0, 50) }))
  const flaky = await world.receiver(() => ({ status: random.pick([200, 200, 200, 503]) }))
  const dispatchers = [await world.dispatcher(), await world.dispatcher()]
  const load = startLoad(
    [anyChange(world.producer(steady), world.random), anyChange(world.producer(steady, flaky), world.random)],
    { random, everyMs: 20 },
  )
  let cut = 0
  for (let kills = 0; kills < 25; kills++) {
    await sleep(random.between(0, 1_000))
    const victim = random.between(0, 1)
    cut += await world.kill(dispatchers[victim]!)
    dispatchers[victim] = await world.dispatcher()
  }
  await load.stop()
  const { duplicates } = await world.ledger()
  t.diagnostic(`25 kills cut ${cut} deliveries short, of which ${duplicates} were delivered twice`)
  assert.ok(duplicates <= cut)
})

for (const count of [2, 8]) {
  test(`${count} dispatchers on one backlog: each event is sent once`, async (t) => {
    const world = await createWorld(t, server)
    const hooks = await world.receiver(() => ({ status: 200, delayMs: 2 }))
    await world.producer(hooks).commitInBulk(3_000)
    // Eight of them crowd a small machine: an exchange that times out is sent again, as it should be.
    const env = { DELIVERY_TIMEOUT: '20s', LEASE: '30s' }
    const dispatchers = await Promise.all(Array.from({ length: count }, () => world.dispatcher({ env })))
    const { posts, duplicates, lostLeases } = await world.ledger({ withinMs: 60_000 })
    assert.deepEqual({ posts, duplicates, lostLeases }, { posts: 3_000, duplicates: 0, lostLeases: 0 })
    const idle = dispatchers.filter(({ lines }) => !lines.some((line) => line['outcome'] === 'delivered'))
    t.diagnostic(`${idle.length} of ${count} found nothing to do`)
  })
}

test('a row that crashes its dispatcher ends dead after its attempts, and its neighbours are delivered', async (t) => {
  const world = await createWorld(t, server)
  const hooks = await world.receiver()
  const tasks = await world.producer(hooks).commitInBulk(20)
  const failpoint = { FAILPOINT: 'crash-on', FAIL_TEXT: tasks[10]! }
  // As a supervisor would: what crashed is started again.
  let crashes = 0
  for (let finished = false; !finished;) {
    const dispatcher = await world.dispatcher({ failpoint })
    const done = world.ledger({ withinMs: 30_000, lostLeasesAtMost: 80 }).then(() => true)
    done.catch(() => undefined)
    finished = await Promise.race([dispatcher.exited.then(() => false), done])
    if (!finished) crashes++
  }
  assert.ok(crashes >= 4)
  const dead = await world.query('select task_id, attempts, last_error from webhook_dead_letters')
  assert.deepEqual(dead, [
    { task_id: tasks[10], attempts: 4, last_error: 'the dispatcher died or stalled during the last attempt' },
  ])
})
