import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { checkClock } from '../../src/cli/doctor/clock.ts'
import { nearest } from '../../src/cli/nearest.ts'
import { Output } from '../../src/cli/output.ts'
import { visible } from '../../src/cli/visible.ts'
import { duration, moment } from '../../src/words.ts'

/** What is printed to a terminal, or to a pipe. */
function captured(isTTY: boolean, print: (out: Output) => void): string {
  let text = ''
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString()
      done()
    },
  })
  const terminal = Object.assign(stream, { isTTY }) as unknown as NodeJS.WriteStream
  print(new Output(terminal, terminal))
  return text
}

for (const [given, shown] of [
  ['plain ü 漢字 🙂', 'plain ü 漢字 🙂'],
  ['\x1b[31mred\x1b[0m', '\\x1b[31mred\\x1b[0m'],
  ['a\r\nb\tc', 'a\\r\\nb\\tc'],
  ['\x9b2J', '\\x9b2J'],
  ['abc\u202edef', 'abc\\u202edef'],
  ['\ud800', '\ufffd'],
] as const) {
  test(`${JSON.stringify(given)} is shown as ${shown}`, () => assert.equal(visible(given), shown))
}

test('columns are aligned, numbers to the right, and nothing to print is a dash', () => {
  const text = captured(false, (out) =>
    out.table(
      ['name', 'n'],
      [
        ['a', 1],
        ['longer', 200],
        ['none', null],
      ],
    ),
  )
  assert.equal(text, 'name      n\na         1\nlonger  200\nnone      -\n')
})

test('fields are aligned, and those without a value are left out', () => {
  const text = captured(false, (out) =>
    out.fields([
      ['a', 'x\x1b'],
      ['long', 0],
      ['none', null],
    ]),
  )
  assert.equal(text, 'a     x\\x1b\nlong  0\n')
})

test('a line stays one, whatever is in it', () => {
  assert.equal(
    captured(false, (out) => out.line('arrived\nall is well')),
    'arrived\\nall is well\n',
  )
})

test('colours are for a terminal only', () => {
  const print = (out: Output) => out.styled('red', 'wrong')
  assert.equal(captured(false, print), 'wrong\n')
  assert.match(captured(true, print), /^\x1b\[31mwrong\x1b\[39m\n$/)
})

for (const [seconds, words] of [
  [0, '0s'],
  [0.25, '250ms'],
  [59.6, '1m'],
  [90, '1m 30s'],
  [3_600, '1h'],
  [3_601, '1h'],
  [3_660, '1h 1m'],
  [90_061, '1d 1h'],
] as const) {
  test(`${seconds} seconds are ${words}`, () => assert.equal(duration(seconds), words))
}

test('a time says how long ago it was, or when it will be', () => {
  const now = Date.parse('2026-01-31T14:30:00Z')
  assert.equal(moment('2026-01-31T14:29:00.000Z', now), '2026-01-31T14:29:00.000Z (1m ago)')
  assert.equal(moment('2026-01-31T14:30:02.000Z', now), '2026-01-31T14:30:02.000Z (in 2s)')
  assert.equal(moment(null), null)
})

test('a name that was mistyped is guessed, and nothing is guessed for another', () => {
  const names = ['status', 'show', 'test', 'url']
  assert.equal(nearest('statsu', names), 'status')
  assert.equal(nearest('stat', names), 'status')
  assert.equal(nearest('shwo', names), 'show')
  assert.equal(nearest('x', names), undefined)
  assert.equal(nearest('restart', names), undefined)
})

test('a clock is wrong where it is more than five seconds off, whatever the way there takes', () => {
  assert.deepEqual(checkClock({ before: 0, there: 4_000, after: 100 }), [])
  assert.deepEqual(checkClock({ before: 0, there: 30_000, after: 60_000 }), [])
  assert.match(
    checkClock({ before: 0, there: 3_600_000, after: 100 })[0]!.what,
    /is 1h ahead of the one of this/,
  )
  assert.match(
    checkClock({ before: 60_000, there: 0, after: 60_100 })[0]!.what,
    /is 1m behind the one of this/,
  )
})
