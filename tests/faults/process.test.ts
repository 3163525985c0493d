import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { type FaultServer, startFaultServer } from './support/postgres.ts'
import { createWorld, LEASE_MS } from './support/world.ts'

/** Faults of a process, the quick ones: see process.fault.ts for the others. */
let server: FaultServer

before(async () => {
  server = await startFaultServer()
})
after(() => server.close())

const lateOutcome = 'the lease was lost before this outcome could be recorded; the event may be sent again'

test('kill -9 mid-POST: its work is redelivered within LEASE + 2 s', async (t) => {
  const world = await createWorld(t, server)
  const hooks = await world.receiver()
  const first = await world.dispatcher()
  hooks.hold()
  await world.producer(hooks).commitInBulk(20)
  await hooks.waitFor(20)
  const other = await world.dispatcher()
  assert.equal(await world.kill(first), 20)
  const killedAt = performance.now()
  hooks.release()
  await hooks.waitFor(40)
  const ms = performance.now() - killedAt
  world.measured('kill -9 to redelivery of the last', ms)
  assert.ok(ms < LEASE_MS + 2_000)
  const { duplicates, lostLeases } = await world.ledger()
  assert.equal(lostLeases, 20)
  assert.equal(duplicates, 20)
  assert.ok(other.running())
})

test('killed after the 2xx and before its record: delivered twice, and counted so', async (t) => {
  const world = await createWorld(t, server)
  const hooks = await world.receiver()
  const failing = await world.dispatcher({ failpoint: { FAILPOINT: 'kill-after-answer' } })
  await world.producer(hooks).commit()
  await failing.exited
  await world.kill(failing)
  await world.dispatcher()
  const { posts, duplicates } = await world.ledger()
  assert.deepEqual({ posts, duplicates }, { posts: 2, duplicates: 1 })
})

test('killed after the claim and before the POST: delivered once', async (t) => {
  const world = await createWorld(t, server)
  const hooks = await world.receiver()
  const failing = await world.dispatcher({ failpoint: { FAILPOINT: 'kill-before-post' } })
  await world.producer(hooks).commit()
  await failing.exited
  await world.kill(failing)
  await world.dispatcher()
  const { posts, lostLeases } = await world.ledger()
  assert.deepEqual({ posts, lostLeases }, { posts: 1, lostLeases: 1 })
})

test('SIGSTOP past the lease, then SIGCONT: the late settle changes nothing of what another holds by then', async (t) => {
  const world = await createWorld(t, server)
  const hooks = await world.receiver()
  const frozen = await world.dispatcher()
  hooks.hold()
  await world.producer(hooks).commitInBulk(10)
  await hooks.waitFor(10)
  frozen.freeze()
  world.mayLoseLeases(await world.held(frozen))
  // The answers wait in the sockets of the frozen process.
  hooks.release()
  hooks.hold()
  const other = await world.dispatcher({ env: { DELIVERY_TIMEOUT: '20s', LEASE: '30s' } })
  await hooks.waitFor(20)
  frozen.thaw()
  await eventually(() => assert.equal(frozen.lines.filter((line) => line.msg === lateOutcome).length, 10))
  assert.equal(await world.held(other), 10)
  hooks.release()
  const { posts, lostLeases } = await world.ledger()
  assert.deepEqual({ posts, lostLeases }, { posts: 20, lostLeases: 10 })
})

test('SIGTERM with work in flight: it is finished, nothing is left leased or sent twice', async (t) => {
  const world = await createWorld(t, server)
  const hooks = await world.receiver(() => ({ status: 200, delayMs: 300 }))
  const stopping = await world.dispatcher()
  await world.producer(hooks).commitInBulk(150)
  await hooks.waitFor(30)
  const other = await world.dispatcher()
  const { code, ms } = await stopping.terminate()
  world.measured('SIGTERM to exit, with work in flight', ms)
  assert.equal(code, 0)
  assert.equal(await world.held(stopping), 0)
  const { duplicates, posts } = await world.ledger()
  assert.deepEqual({ duplicates, posts }, { duplicates: 0, posts: 150 })
  assert.ok(other.running())
})

test('SIGTERM with a stuck POST: another redelivers it within 2 s of the end of the grace', async (t) => {
  const world = await createWorld(t, server)
  const hooks = await world.receiver((_, n) => (n <= 5 ? 'hang' : { status: 200 }))
  const env = { SHUTDOWN_GRACE: '200ms', DELIVERY_TIMEOUT: '20s', LEASE: '30s' }
  const stopping = await world.dispatcher({ env })
  await world.producer(hooks).commitInBulk(5)
  await hooks.waitFor(5)
  const other = await world.dispatcher({ env })
  const start = performance.now()
  const { code } = await stopping.terminate()
  assert.equal(code, 0)
  assert.equal(await world.held(stopping), 0)
  await hooks.waitFor(10)
  const ms = performance.now() - start
  world.measured('SIGTERM (grace 200 ms) to redelivery of what was stuck', ms)
  assert.ok(ms < 200 + 2_000)
  const { duplicates } = await world.ledger()
  assert.equal(duplicates, 0)
  assert.ok(other.running())
})

test('an event loop that is blocked past the lease before the POST sends nothing late', async (t) => {
  const world = await createWorld(t, server)
  const hooks = await world.receiver()
  const failpoint = { FAILPOINT: 'block-before-post', BLOCK_MS: String(LEASE_MS + 1_500) }
  // Five are claimed at once; the send of the first blocks those of the others.
  await world.producer(hooks).commitInBulk(5)
  const blocked = await world.dispatcher({ failpoint })
  await blocked.waitForLine((line) => line.msg === 'blocked')
  world.mayLoseLeases(5)
  await world.dispatcher()
  await hooks.waitFor(5)
  await eventually(() => assert.equal(blocked.lines.filter((line) => line.msg === lateOutcome).length, 5))
  const { duplicates } = await world.ledger()
  // The first was past its check already; the others noticed that their lease is over.
  assert.ok(duplicates <= 1, `${duplicates} were sent late`)
})

test('an event loop that is blocked past the lease after the answer: its settle changes nothing of what another holds by then', async (t) => {
  const world = await createWorld(t, server)
  const hooks = await world.receiver()
  const failpoint = { FAILPOINT: 'block-after-answer', BLOCK_MS: String(LEASE_MS + 1_500) }
  const blocked = await world.dispatcher({ failpoint })
  await world.producer(hooks).commit()
  await blocked.waitForLine((line) => line.msg === 'blocked')
  world.mayLoseLeases(1)
  hooks.hold()
  const other = await world.dispatcher({ env: { DELIVERY_TIMEOUT: '20s', LEASE: '30s' } })
  await hooks.waitFor(2)
  await blocked.waitForLine((line) => line.msg === lateOutcome)
  assert.equal(await world.held(other), 1)
  hooks.release()
  await world.ledger()
  const [event] = await world.query('select outcome, attempts from webhook_history')
  assert.deepEqual(event, { outcome: 'delivered', attempts: 2 })
})

for (const hours of [-1, 1]) {
  test(`a dispatcher whose clock is wrong by ${hours} h delivers and retries in time`, async (t) => {
    const world = await createWorld(t, server)
    const hooks = await world.receiver((_, n) => ({ status: n === 1 ? 503 : 200 }))
    await world.dispatcher({ clockShiftMs: hours * 3_600_000 })
    await world.producer(hooks).commit()
    const [first, second] = await hooks.waitFor(2)
    assert.ok(second!.at - first!.at >= 200, 'the retry came before its time')
    const stamp = Number(first!.headers['webhook-timestamp']) * 1_000
    assert.ok(Math.abs(stamp - Date.now() - hours * 3_600_000) < 60_000, 'the clock was not shifted')
    await world.ledger({ withinMs: 5_000 })
  })
}

test('two dispatchers, one of them an hour ahead, take nothing from each other', async (t) => {
  const world = await createWorld(t, server)
  const hooks = await world.receiver(() => ({ status: 200, delayMs: 500 }))
  await world.dispatcher({ clockShiftMs: 3_600_000 })
  await world.dispatcher()
  await world.producer(hooks).commitInBulk(200)
  const { duplicates, lostLeases } = await world.ledger()
  assert.deepEqual({ duplicates, lostLeases }, { duplicates: 0, lostLeases: 0 })
})
