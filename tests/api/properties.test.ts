import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { anything, nasty, urlish } from './arbitraries.ts'
import { createTestApi } from './support.ts'

/** For all that a client may send: no 5xx, and nothing is stored that was refused. */
const api = await createTestApi({ after })
for (const [resource, body] of [
  ['projects', { id: 'p', name: 'P' }],
  ['tickets', { id: 't', title: 'T', project_id: 'p' }],
  ['agents', { id: 'a' }],
  ['tasks', { id: 'k', title: 'K', ticket_id: 't' }],
] as const) {
  await api.call('POST', `/api/v1/${resource}`, body)
}

const references = fc.oneof(fc.constantFrom('p', 't', 'a', 'k', 'nope', null), anything)
const properties: Record<string, fc.Arbitrary<unknown>> = {
  ...{
    id: anything,
    name: anything,
    title: anything,
    status: anything,
    agent_type: anything,
    reason: anything,
  },
  ...{ webhook_url: fc.oneof(urlish, anything), result: anything, error_message: anything },
  ...{ project_id: references, ticket_id: references, assigned_agent_id: references },
  ...{ retry_count: anything, max_retries: anything },
}
/** Few properties at a time: of many, one is always refused, and nothing comes as far as the database. */
const bodyOf = (keys: string[], required: Record<string, unknown>) =>
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc
        .subarray(keys, { maxLength: Math.min(2, keys.length) })
        .chain((some) => fc.record(Object.fromEntries(some.map((key) => [key, properties[key]!]))))
        .map((body): unknown => ({ ...required, ...body })),
    },
    { weight: 1, arbitrary: anything },
    { weight: 1, arbitrary: fc.dictionary(nasty, anything) },
  )

const stored = async () =>
  JSON.stringify(
    await api.database.query(`select
      (select json_agg(md5(x::text) order by id) from projects x) as projects, (select json_agg(md5(x::text) order by id) from tickets x) as tickets,
      (select json_agg(md5(x::text) order by id) from tasks x) as tasks, (select json_agg(md5(x::text) order by id) from agents x) as agents,
      (select count(*) from agent_stuck_episodes) as episodes, (select count(*) from webhook_outbox) as events`),
  )

const ticket = ['project_id', 'title', 'status', 'webhook_url']
const task = [
  'ticket_id',
  'title',
  'status',
  'assigned_agent_id',
  'result',
  'error_message',
  'retry_count',
  'max_retries',
]
for (const [method, path, keys, required] of [
  ['POST', 'projects', ['id', 'name', 'status', 'webhook_url'], { name: 'x' }],
  ['PATCH', 'projects/p', ['name', 'status', 'webhook_url'], {}],
  ['POST', 'tickets', ['id', ...ticket], { title: 'x' }],
  ['PATCH', 'tickets/t', ticket, {}],
  ['POST', 'tasks', ['id', ...task], { title: 'x' }],
  ['PATCH', 'tasks/k', task, {}],
  ['POST', 'agents', ['id', 'agent_type', 'status'], {}],
  ['POST', 'agents/a/stuck', ['reason'], {}],
] as const) {
  test(`${method} /${path}: whatever is sent gets no 5xx, and what is refused changes nothing`, async () => {
    await fc.assert(
      fc.asyncProperty(bodyOf([...keys], required), async (body) => {
        const before = await stored()
        const answer = await api.call(method, `/api/v1/${path}`, undefined, { raw: JSON.stringify(body) })
        assert.ok(answer.status < 500, `${answer.status}: ${answer.text.slice(0, 500)}`)
        if (answer.status >= 400) {
          assert.equal(answer.headers.get('content-type'), 'application/problem+json')
          assert.equal(await stored(), before)
          if (answer.status === 422)
            for (const error of answer.body.errors) assert.match(error.pointer, /^#(?:\/|$)/)
        } else {
          // The next report of this agent is to be taken too.
          await api.database.query('update agent_stuck_episodes set ended_at = now()')
          const sent = body as Record<string, unknown>
          const kept = await api.call(
            'GET',
            answer.headers.get('location') ?? `/api/v1/${path.replace(/\/stuck$/, '')}`,
          )
          assert.equal(kept.status, 200)
          for (const key of ['title', 'name', 'status', 'result', 'error_message', 'retry_count']) {
            if (Object.hasOwn(sent, key))
              assert.deepEqual(kept.body[key], JSON.parse(JSON.stringify(sent[key])), key)
          }
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
          fc.uint8Array({ maxLength: 200 }),
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

test('whatever ids and query parameters are asked for get no 5xx', async () => {
  const encoded = fc.oneof(
    nasty.filter((text) => text.length < 5_000).map((text) => encodeURIComponent(text.toWellFormed())),
    fc.string().map((text) => text.replaceAll(/[/?#\\]/g, '')),
    fc.constantFrom('%', '%zz', '%c0%80', '%ff', '%ed%a0%80'),
  )
  const name = fc.constantFrom(
    ...['limit', 'cursor', 'state', 'status', 'error', 'from', 'to', 'endpoint_id', 'task_id', 'x'],
    ...['breaker', 'paused', 'owed', 'kind', 'actor', 'action', 'target'],
  )
  const query = fc.array(
    fc.tuple(name, encoded).map(([key, value]) => `${key}=${value}`),
    { maxLength: 4 },
  )
  const resource = fc.constantFrom(
    ...['projects', 'tickets', 'tasks', 'agents', 'deliveries', 'endpoints', 'operations', 'audit'],
  )
  const cursor = fc
    .tuple(
      fc.oneof(
        nasty,
        fc.constantFrom(null, '2026-13-01T00:00:00+00:00', '2026-01-01T00:00:00+99:99', 'infinity'),
      ),
      nasty,
    )
    .map((pair) => `cursor=${Buffer.from(JSON.stringify(pair)).toString('base64url')}`)
  await fc.assert(
    fc.asyncProperty(
      resource,
      encoded,
      fc.oneof(query, fc.array(cursor, { maxLength: 1 })),
      async (of, path, parameters) => {
        for (const target of [`${of}/${path}`, `${of}?${parameters.join('&')}`]) {
          const { status, text } = await api.call('GET', `/api/v1/${target}`)
          assert.ok(status < 500, `${target}: ${text}`)
        }
      },
    ),
    { numRuns: 300 },
  )
})
