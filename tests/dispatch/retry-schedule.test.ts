import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nextWaitMs } from '../../src/dispatch/retry-schedule.ts'

const schedule = [1_000, 2_000, 4_000]

for (const [attempt, waitAtLeastMs, random, expected] of [
  [1, null, 0, 1_000],
  [2, null, 0, 2_000],
  [3, null, 0, 4_000],
  [4, null, 0, null],
  [5, null, 0, null],
  [1, null, 0.5, 1_050],
  [3, null, 0.999999, 4_400],
  [1, 0, 0, 1_000],
  [1, 999, 0, 1_000],
  [1, 1_001, 0, 1_001],
  [1, 1_500, 0.9, 1_500],
  [2, 86_400_000, 0.5, 86_400_000],
  [4, 86_400_000, 0, null],
] as const) {
  test(`attempt ${attempt}, Retry-After ${waitAtLeastMs} ms, random ${random}: waits ${expected} ms`, () => {
    assert.equal(nextWaitMs({ schedule, attempt, waitAtLeastMs, random }), expected)
  })
}
