import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { endpoint } from '../support/endpoints.ts'
import { putEvent, putTicket } from '../support/events.ts'
import { anything, nasty } from './arbitraries.ts'
import { createTestApi } from './support.ts'

/** For all that a client may send to what operators use: no 5xx, and nothing changes that was refused. */
const api = await createTestApi({ after })
const { database } = api
const url = 'http://127.0.0.1:9/x'
const ticket = await putTicket(database, { url })
const dead = await putEvent(database, ticket)
const owed = await putEvent(database, { outcome: null, ...ticket, url, next_attempt_at: '2100-01-01' })
await endpoint(database, url)
const [row] = await database.query<{ id: string }>('select id from webhook_endpoints')

const stored = async () =>
  JSON.stringify(
    await database.query(`select
      (select json_agg(x order by event_id) from webhook_events x) as events, (select json_agg(x) from webhook_endpoints x) as endpoints,
      (select count(*) from webhook_operations) as operations, (select count(*) from webhook_audit) as audit`),
  )

const filters = {
  ...{ state: fc.oneof(fc.constantFrom('dead', 'pending', 'delivered'), anything) },
  ...{ event_type: anything, project_id: anything, ticket_id: anything, task_id: anything },
  ...{ endpoint_id: fc.oneof(fc.uuid(), anything), error: anything },
  ...{ from: fc.oneof(fc.constantFrom('2026-01-01', 'infinity'), anything), to: anything },
  ...{ dry_run: fc.oneof(fc.boolean(), anything), all: fc.oneof(fc.constant(true), anything) },
  ...{ rate: fc.oneof(fc.integer({ min: -1, max: 10_001 }), anything), reason: anything },
}
const durations = fc.oneof(
  fc.tuple(fc.nat(), fc.constantFrom('ms', 's', 'm', 'h', 'd', '')).map(([n, unit]) => `${n}${unit}`),
  anything,
)
const headers = fc.dictionary(
  fc.oneof(fc.constantFrom('x-a', 'X-A', 'host', 'webhook-id', '__proto__', 'constructor'), nasty),
  fc.oneof(fc.constantFrom('v', null, ' v', 'a\nb'), anything),
)
const settings = {
  ...{ max_in_flight: fc.oneof(fc.integer({ min: -1, max: 100_001 }), anything) },
  ...{ retry_schedule: fc.oneof(fc.array(durations), anything), timeout: durations, max_owed_age: durations },
  headers: fc.oneof(headers, anything),
}

const bodyOf = (properties: Record<string, fc.Arbitrary<unknown>>) =>
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc
        .subarray(Object.keys(properties), { maxLength: Math.min(3, Object.keys(properties).length) })
        .chain((some) => fc.record(Object.fromEntries(some.map((key) => [key, properties[key]!])))),
    },
    { weight: 1, arbitrary: anything },
    { weight: 1, arbitrary: fc.dictionary(nasty, anything) },
  )

const reason = { reason: anything }
for (const [method, path, properties] of [
  ['POST', 'replays', filters],
  ['POST', 'discards', filters],
  ['PATCH', `endpoints/${row!.id}`, settings],
  ['POST', `endpoints/${row!.id}/pause`, reason],
  ['POST', `deliveries/${dead}/discard`, reason],
  ['POST', `deliveries/${owed}/discard`, reason],
] as const) {
  test(`${method} /${path}: whatever is sent gets no 5xx, and what is refused changes nothing`, async () => {
    await fc.assert(
      fc.asyncProperty(bodyOf(properties), async (body) => {
        const before = await stored()
        const answer = await api.call(method, `/api/v1/${path}`, undefined, { raw: JSON.stringify(body) })
        assert.ok(answer.status < 500, `${answer.status}: ${answer.text.slice(0, 500)}`)
        if (answer.status < 400) return
        assert.equal(answer.headers.get('content-type'), 'application/problem+json')
        assert.equal(await stored(), before)
        if (answer.status === 422) {
          for (const error of answer.body.errors) assert.match(error.pointer, /^#(?:\/|$)/)
        }
      }),
      { numRuns: 150 },
    )
  })

  test(`${method} /${path}: whatever bytes are sent get no 5xx, and change nothing`, async () => {
    const before = await stored()
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.uint8Array({ minLength: 1, maxLength: 200 }),
          fc.string().map((text) => Buffer.from(`{"${text}`)),
        ),
        async (bytes) => {
          const answer = await api.call(method, `/api/v1/${path}`, undefined, { raw: new Uint8Array(bytes) })
          assert.ok([400, 422].includes(answer.status), answer.text)
        },
      ),
      { numRuns: 60 },
    )
    assert.equal(await stored(), before)
  })
}

test('whatever ids are given get no 5xx', async () => {
  const ids = fc.oneof(
    fc.uuid(),
    nasty.filter((text) => text.length < 5_000).map((text) => encodeURIComponent(text.toWellFormed())),
    fc.constantFrom('%', '%c0%80', '%ed%a0%80', '..%2f'),
  )
  const route = fc.constantFrom(
    ...['deliveries/ID/replay', 'deliveries/ID/discard', 'endpoints/ID/pause', 'endpoints/ID/resume'],
    ...['endpoints/ID/test', 'operations/ID/cancel'],
  )
  await fc.assert(
    fc.asyncProperty(route, ids, async (path, id) => {
      const { status, text } = await api.call('POST', `/api/v1/${path.replace('ID', () => id)}`)
      assert.ok(status >= 400 && status < 500, `${path} of ${id}: ${text}`)
    }),
    { numRuns: 200 },
  )
})
