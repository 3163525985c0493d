import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Claimed } from '../../src/dispatch/claim.ts'
import { InFlight } from '../../src/dispatch/in-flight.ts'

const claimed = (endpointId: string, slow = false) => ({ endpointId, slow }) as Claimed

test('it counts by endpoint, and forgets an endpoint to which nothing is under way', () => {
  const inFlight = new InFlight()
  for (const one of ['a', 'a', 'b']) inFlight.add(claimed(one))
  assert.deepEqual(inFlight.spread(), { held: { a: 2, b: 1 }, hanging: [], slow: 0 })
  assert.equal(inFlight.size, 3)
  inFlight.delete(claimed('b'))
  inFlight.delete(claimed('a'))
  assert.deepEqual(inFlight.spread(), { held: { a: 1 }, hanging: [], slow: 0 })
  inFlight.delete(claimed('b'))
  assert.equal(inFlight.size, 1, 'what is not held is not given back')
})

test('what was slow when it was claimed stays slow until it is settled', () => {
  const inFlight = new InFlight()
  inFlight.add(claimed('a', true))
  inFlight.add(claimed('a', false))
  assert.equal(inFlight.spread().slow, 1)
  inFlight.delete(claimed('a', true))
  assert.equal(inFlight.spread().slow, 0)
})

test('an endpoint hangs once nothing is heard from it for 200 ms, until it is heard', (t) => {
  let now = 1_000
  t.mock.method(performance, 'now', () => now)
  const inFlight = new InFlight()
  inFlight.add(claimed('quiet'))
  inFlight.add(claimed('quiet'))
  inFlight.add(claimed('heard'))
  now += 199
  inFlight.heard(claimed('heard'))
  assert.deepEqual(inFlight.spread().hanging, [])
  now += 2
  assert.deepEqual(inFlight.spread(), {
    held: { quiet: 2, heard: 1 },

    hanging: ['quiet'],
    slow: 2,
  })
  inFlight.heard(claimed('quiet'))
  assert.deepEqual(inFlight.spread().hanging, [])
})
