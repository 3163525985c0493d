import assert from 'node:assert/strict'
import test from 'node:test'
import { parseRetryAfter } from '../../src/delivery/retry-after.ts'

const NOW = new Date('2026-03-01T12:00:00.000Z')
const DAY_MS = 24 * 60 * 60 * 1000

const rows: [name: string, value: string | null, expected: number | null][] = [
  ['no header', null, null],
  ['an empty header', '', null],
  ['0 seconds', '0', 0],
  ['seconds', '120', 120_000],
  ['seconds between spaces', ' 7\t', 7_000],
  ['exactly 24 h', '86400', DAY_MS],
  ['more than 24 h', '86401', DAY_MS],
  ['huge digits', '9'.repeat(400), DAY_MS],
  ['a negative number', '-5', null],
  ['a plus sign', '+5', null],
  ['a fraction', '1.5', null],
  ['an exponent', '1e3', null],
  ['a hexadecimal number', '0x10', null],
  ['other digits than ASCII', '١٢', null],
  ['two values', '1, 2', null],
  ['a word', 'soon', null],
  ['an IMF-fixdate', 'Sun, 01 Mar 2026 12:00:30 GMT', 30_000],
  ['an IMF-fixdate in small letters', 'sun, 01 mar 2026 12:00:30 gmt', 30_000],
  ['an RFC 850 date', 'Sunday, 01-Mar-26 12:01:00 GMT', 60_000],
  ['an RFC 850 date of a Wednesday', 'Wednesday, 01-Mar-26 12:01:00 GMT', 60_000],
  ['an asctime date', 'Sun Mar  1 12:00:10 2026', 10_000],
  ['an asctime date with two digits', 'Mon Mar 02 12:00:00 2026', DAY_MS],
  ['a leap second', 'Sun, 01 Mar 2026 12:00:60 GMT', 60_000],
  ['a date further than 24 h', 'Sun, 01 Mar 2099 12:00:00 GMT', DAY_MS],
  ['a date that is past', 'Sun, 06 Nov 1994 08:49:37 GMT', 0],
  ['two digits 50 years ahead', 'Sunday, 01-Mar-76 12:00:00 GMT', DAY_MS],
  ['two digits more than 50 years ahead mean the past', 'Sunday, 01-Mar-77 12:00:00 GMT', 0],
  ['a day that the month has not', 'Sun, 30 Feb 2027 12:00:00 GMT', null],
  ['day 0', 'Sun, 00 Mar 2027 12:00:00 GMT', null],
  ['hour 24', 'Sun, 01 Mar 2027 24:00:00 GMT', null],
  ['minute 60', 'Sun, 01 Mar 2027 12:60:00 GMT', null],
  ['a month of no name', 'Sun, 01 Foo 2027 12:00:00 GMT', null],
  ['a date with another zone', 'Sun, 01 Mar 2027 12:00:00 CET', null],
  ['an ISO date', '2027-03-01T12:00:00Z', null],
  ['a date and junk', 'Sun, 01 Mar 2026 12:00:30 GMT foo', null],
]

for (const [name, value, expected] of rows) {
  test(`${name} is ${expected === null ? 'nothing' : `${expected} ms`}`, () => {
    assert.equal(parseRetryAfter(value, NOW), expected)
  })
}

test('two digits of the next century mean the next century at its turn', () => {
  const now = new Date('2099-12-31T23:59:00.000Z')
  assert.equal(parseRetryAfter('Friday, 01-Jan-00 00:00:00 GMT', now), 60_000)
})
