import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { baselineOf, describeFall, fallsOf } from '../../scripts/bench/baseline.ts'
import { type Goal, medianRow, type Row } from '../../scripts/bench/report.ts'

const ratio = (values: number[], goal: Goal): Row => ({
  case: 'drain',
  ...medianRow('service / ceiling', values, '', goal),
})

describe('the baseline of the bench', () => {
  it('holds the ratios that have a goal, and no times or rates', () => {
    const rows: Row[] = [
      ratio([0.5], { atLeast: 0.8 }),
      { case: 'drain', ...medianRow('service', [5_000], '/s') },
      { case: 'idle', ...medianRow('p50', [2], 'ms', { atMost: 5 }) },
    ]
    assert.deepEqual(baselineOf(rows), { drain: { 'service / ceiling': { value: 0.5, tolerance: 0.25 } } })
  })

  it('tolerates twice the distance of the worst round in the direction of the goal, within bounds', () => {
    const tolerance = (values: number[], goal: Goal) =>
      baselineOf([ratio(values, goal)])['drain']!['service / ceiling']!.tolerance
    assert.equal(tolerance([0.4, 0.5, 2], { atLeast: 1 }), 0.4)
    assert.equal(tolerance([0.4, 0.5, 0.8], { atMost: 1 }), 1.2)
    assert.equal(tolerance([0.5, 0.5, 0.5], { atMost: 1 }), 0.25)
    assert.equal(tolerance([0.1, 0.5, 9], { atLeast: 1 }), 0.75)
    assert.equal(tolerance([0.1, 0.5, 9], { atMost: 1 }), 3)
  })

  it('says which case fell, below a least and above a most', () => {
    const expected = { value: 1, tolerance: 0.25 }
    const baseline = { drain: { 'service / ceiling': expected } }
    for (const [value, goal, fell] of [
      [0.76, { atLeast: 2 }, false],
      [0.74, { atLeast: 0.1 }, true],
      [9, { atLeast: 2 }, false],
      [1.24, { atMost: 0.5 }, false],
      [1.26, { atMost: 5 }, true],
      [0.1, { atMost: 0.01 }, false],
    ] as [number, Goal, boolean][]) {
      const falls = fallsOf([ratio([value], goal)], baseline)
      assert.deepEqual(
        falls,
        fell ? [{ case: 'drain', measure: 'service / ceiling', value, expected }] : [],
        `${value}`,
      )
    }
    assert.equal(
      describeFall({ case: 'drain', measure: 'service / ceiling', value: 0.5, expected }),
      'drain fell: service / ceiling is 0.50, and was 1.00 (25 % is noise)',
    )
  })

  it('does not judge what it does not know', () => {
    assert.deepEqual(fallsOf([ratio([0.001], { atLeast: 1 })], {}), [])
  })
})
