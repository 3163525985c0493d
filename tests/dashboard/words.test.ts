import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { clock, few, milliseconds, relative, span } from '../../src/dashboard/words.ts'

const now = Date.parse('2026-01-31T14:30:00Z')
const before = (seconds: number) => new Date(now - seconds * 1_000).toISOString()

describe('times and counts as people read them', () => {
  for (const [seconds, text] of [
    [0, '0 s'],
    [0.25, '250 ms'],
    [1, '1 s'],
    [59.6, '1 min'],
    [90, '1 min 30 s'],
    [3_600, '1 h'],
    [3_661, '1 h 1 min'],
    [90_000, '1 d 1 h'],
    [86_401, '1 d'],
  ] as const) {
    test(`${seconds} seconds are ${text}`, () => assert.equal(span(seconds), text))
  }

  for (const [seconds, text] of [
    [0.5, 'just now'],
    [1, '1 s ago'],
    [119, '1 min ago'],
    [7_199, '1 h ago'],
    [200_000, '2 d ago'],
    [-20, 'in 20 s'],
  ] as const) {
    test(`${seconds} seconds before now is ${text}`, () => assert.equal(relative(before(seconds), now), text))
  }

  test('a time has its zone, and its day where that is another', () => {
    assert.equal(clock('2026-01-31T14:29:59.999Z', now), '14:29:59 UTC')
    assert.equal(clock('2026-01-30T14:29:59.999Z', now), '2026-01-30 14:29:59 UTC')
  })

  for (const [ms, text] of [
    [850.4, '850 ms'],
    [1_500, '1.5 s'],
    [90_000, '1 min 30 s'],
  ] as const) {
    test(`${ms} milliseconds are ${text}`, () => assert.equal(milliseconds(ms), text))
  }

  for (const [names, text] of [
    [[], ''],
    [['a'], 'a'],
    [['a', 'b'], 'a and b'],
    [['a', 'b', 'c'], 'a, b and c'],
    [['a', 'b', 'c', 'd'], 'a, b and 2 more'],
  ] as const) {
    test(`of ${names.length} names: ${text || 'nothing'}`, () => assert.equal(few(names), text))
  }
})
