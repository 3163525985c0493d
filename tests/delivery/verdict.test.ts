import assert from 'node:assert/strict'
import test from 'node:test'
import type { Answered, FailureReason } from '../../src/delivery/exchange.ts'
import { judge } from '../../src/delivery/verdict.ts'

const startedAt = new Date('2026-03-01T12:00:00.000Z')

function answered(status: number, more: Partial<Answered> = {}): Answered {
  return {
    kind: 'answered',
    status,
    response: 'the body says 200 OK',
    retryAfter: null,
    location: null,
    startedAt,
    durationMs: 1_000,
    ...more,
  }
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const later = [408, 425, 429]
const verdictsByStatus: [name: string, statuses: number[], kind: string][] = [
  ['2xx is delivered', range(200, 299), 'delivered'],
  ['3xx is dead', range(300, 399), 'dead'],
  ['408, 425 and 429 are retried', later, 'retry'],
  ['other 4xx is dead', range(400, 499).filter((status) => !later.includes(status)), 'dead'],
  ['5xx is retried', range(500, 599), 'retry'],
  ['101 and unknown statuses are retried', [0, 99, 101, 199, 600, 799, 999], 'retry'],
]

for (const [name, statuses, kind] of verdictsByStatus) {
  test(name, () => {
    for (const status of statuses) assert.equal(judge(answered(status)).kind, kind, String(status))
  })
}

test('410, and no other status, pauses the endpoint', () => {
  const pausing = range(0, 999).filter((status) => 'pauseEndpoint' in judge(answered(status)))
  assert.deepEqual(pausing, [410])
  assert.deepEqual(judge(answered(410)), { kind: 'dead', error: '410 Gone', pauseEndpoint: true })
})

const errors: [status: number, error: string][] = [
  [503, '503 Service Unavailable'],
  [429, '429 Too Many Requests'],
  [404, '404 Not Found'],
  [101, '101 Switching Protocols'],
  [499, '499 (unknown status)'],
  [700, '700 (unknown status)'],
]

for (const [status, error] of errors) {
  test(`${status} reads "${error}"`, () => {
    const verdict = judge(answered(status))
    assert.equal('error' in verdict && verdict.error, error)
  })
}

const locations: [location: string | null, where: string][] = [
  ['https://other.example/secret?secret', 'to https://other.example'],
  ['http://user:secret@other.example:81/', 'to http://other.example:81'],
  ['/secret', 'to the same origin'],
  ['secret', 'to the same origin'],
  ['?secret', 'to the same origin'],
  ['', 'to the same origin'],
  ['//other.example/secret', 'to //other.example'],
  ['mailto:secret', 'to mailto:'],
  ['http://[secret', 'the Location cannot be read'],
  [null, 'no Location'],
]

for (const [location, where] of locations) {
  test(`a redirect with Location ${location} reads "${where}"`, () => {
    const verdict = judge(answered(302, { location }))
    assert.deepEqual(verdict, {
      kind: 'dead',
      error: verdict.kind === 'dead' ? verdict.error : '',
    })
    assert.match(verdict.error, /^302 Found: redirects are not followed \(/)
    assert.ok(verdict.error.endsWith(`(${where})`), verdict.error)
    assert.ok(!verdict.error.includes('secret'))
  })
}

const waits: [status: number, retryAfter: string, waitAtLeastMs: number][] = [
  [503, '7', 7_000],
  [429, '0', 0],
  [408, '100000000', 86_400_000],
  [425, 'Sun, 01 Mar 2026 12:01:01 GMT', 60_000],
  [700, '1', 1_000],
]

for (const [status, retryAfter, waitAtLeastMs] of waits) {
  test(`${status} with Retry-After ${retryAfter} waits ${waitAtLeastMs} ms from its answer`, () => {
    const verdict = judge(answered(status, { retryAfter }))
    assert.equal(verdict.kind === 'retry' && verdict.waitAtLeastMs, waitAtLeastMs)
  })
}

test('a Retry-After that cannot be read asks for nothing', () => {
  const verdict = judge(answered(503, { retryAfter: 'soon' }))
  assert.deepEqual(verdict, { kind: 'retry', error: '503 Service Unavailable', waitAtLeastMs: null })
})

const failures: [reason: FailureReason, kind: string][] = [
  ['timeout', 'retry'],
  ['network', 'retry'],
  ['tls', 'retry'],
  ['address', 'dead'],
]

for (const [reason, kind] of failures) {
  test(`a failure of kind ${reason} is ${kind}, and keeps its words`, () => {
    const verdict = judge({ kind: 'failed', reason, error: 'in words', startedAt, durationMs: 1 })
    assert.equal(verdict.kind, kind)
    assert.equal('error' in verdict && verdict.error, 'in words')
    assert.ok(!('pauseEndpoint' in verdict))
  })
}
