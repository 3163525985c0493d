import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { after, beforeEach, describe, test } from 'node:test'
import { createApp } from '../../src/api/app.ts'
import { kyselyOver } from '../../src/database/connection.ts'
import { clear, endpoint, receiver } from '../support/endpoints.ts'
import { putEvent, putTicket } from '../support/events.ts'
import { type Body, callerOf, createTestApi, noSender, pointers, testConfig } from './support.ts'

const api = await createTestApi({ after })
const { database } = api
const byToken = callerOf(
  createApp({
    db: kyselyOver(database.pool),
    config: { ...testConfig, apiTokens: [{ role: 'write', name: 'night shift', token: 'w' }] },
    sender: noSender,
    version: '0',
    health: () => Promise.resolve({ status: 'ok', checks: {} }),
  }),
)
const url = 'http://127.0.0.1:9/audited'
const endpointId = hash('md5', url).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')

beforeEach(async () => {
  await clear(database)
  await database.query('truncate webhook_audit, webhook_operations, webhook_operation_batches')
})

async function list(query = ''): Promise<Body[]> {
  const answer = await api.call('GET', `/api/v1/audit?${query}`)
  assert.equal(answer.status, 200, answer.text)
  assert.doesNotMatch(answer.text, /canary/)
  return answer.body.items
}

/** The newest row, without what no test can know. */
async function newest(): Promise<unknown> {
  const [row] = await list('limit=1')
  const { id, at, ...rest } = row!
  assert.match(id, /^\d+$/)
  assert.ok(Math.abs(Date.parse(String(at)) - Date.now()) < 60_000)
  return rest
}

describe('every change by an operator has a row', () => {
  const change = async (method: string, path: string, body?: unknown): Promise<Body> => {
    const answer = await api.call(method, `/api/v1/${path}`, body)
    assert.ok(answer.status < 300, answer.text)
    return answer.body
  }
  const row = (action: string, target: string, detail: object = {}) => ({
    actor: 'anonymous',
    action,
    target,
    detail,
  })

  test('replay and discard of one', async () => {
    const id = await putEvent(database, await putTicket(database, { url }))
    await change('POST', `deliveries/${id}/replay`)
    assert.deepEqual(await newest(), row('delivery.replay', `deliveries/${id}`, { endpoint_id: endpointId }))
    await change('POST', `deliveries/${id.toUpperCase()}/discard`, { reason: 'why' })
    assert.deepEqual(await newest(), row('delivery.discard', `deliveries/${id}`, { reason: 'why' }))
  })

  test('bulk replay, bulk discard and cancel', async () => {
    await putEvent(database, await putTicket(database, { url }))
    const replay = (await change('POST', 'replays', { state: 'dead', dry_run: false }))['operation'] as Body
    const detail = { filter: { state: 'dead' }, matched: 1, rate: 200 }
    assert.deepEqual(await newest(), row('replays.start', `operations/${replay.id}`, detail))
    await change('POST', `operations/${replay.id}/cancel`)
    assert.deepEqual(
      await newest(),
      row('operation.cancel', `operations/${replay.id}`, { kind: 'replay', done: 0, skipped: 0, matched: 1 }),
    )
    const body = { error: 'x', dry_run: false, rate: 5, reason: 'why' }
    const discard = (await change('POST', 'discards', body))['operation'] as Body
    assert.deepEqual(
      await newest(),
      row('discards.start', `operations/${discard.id}`, {
        filter: { error: 'x' },
        matched: 0,
        rate: 5,
        reason: 'why',
      }),
    )
  })

  test('pause, resume, settings and test of an endpoint, without what may be secret', async (t) => {
    const hooks = await receiver(t)
    await endpoint(database, url)
    const target = `endpoints/${endpointId}`
    await change('POST', `${target}/pause`, { reason: 'moving' })
    assert.deepEqual(await newest(), row('endpoint.pause', target, { reason: 'moving' }))
    await change('POST', `${target}/resume`)
    assert.deepEqual(await newest(), row('endpoint.resume', target))
    await change('PATCH', target, {
      timeout: '5s',
      retry_schedule: ['1s'],
      max_in_flight: null,
      headers: { 'X-Key': 'canary', old: null },
    })
    assert.deepEqual(
      await newest(),
      row('endpoint.patch', target, {
        timeout: '5s',
        retry_schedule: ['1s'],
        max_in_flight: null,
        headers: { set: ['x-key'], removed: ['old'] },
      }),
    )
    await putTicket(database, { url: hooks.url('/t?canary') })
    const id = hash('md5', hooks.url('/t')).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
    const { event_id } = await change('POST', `endpoints/${id}/test`)
    assert.deepEqual(
      await newest(),
      row('endpoint.test', `endpoints/${id}`, { event_id, url: hooks.url('/t') }),
    )
  })

  test('a webhook_url that is set or cleared, without its query', async () => {
    const { ticket_id, project_id } = await putTicket(database, { projectUrl: null })
    await change('PATCH', `tickets/${ticket_id}`, { webhook_url: `${url}?canary#canary` })
    assert.deepEqual(await newest(), row('webhook_url.change', `tickets/${ticket_id}`, { webhook_url: url }))
    await change('PATCH', `projects/${project_id!}`, { webhook_url: null, name: 'x' })
    assert.deepEqual(
      await newest(),
      row('webhook_url.change', `projects/${project_id!}`, { webhook_url: null }),
    )
    await change('PATCH', `projects/${project_id!}`, { name: 'y' })
    assert.equal((await list()).length, 2)
  })
})

test('who did it is the name of the token', async () => {
  await endpoint(database, url)
  const answer = await byToken('POST', `/api/v1/endpoints/${endpointId}/pause`, undefined, {
    headers: { authorization: 'Bearer w' },
  })
  assert.equal(answer.status, 200, answer.text)
  assert.deepEqual(
    (await list()).map(({ actor, action }) => [actor, action]),
    [['night shift', 'endpoint.pause']],
  )
})

test('what was refused, and a dry run, leave no row', async () => {
  const id = await putEvent(database)
  const { ticket_id } = await putTicket(database)
  await endpoint(database, url)
  for (const [method, path, body] of [
    ['POST', `deliveries/${id}/replay`],
    ['POST', `deliveries/${id}/discard`],
    ['POST', 'replays', { state: 'dead' }],
    ['POST', 'replays', { dry_run: false }],
    ['POST', `operations/${id}/cancel`],
    ['PATCH', `endpoints/${endpointId}`, { timeout: '1h' }],
    ['POST', `endpoints/${id}/pause`],
    ['POST', `endpoints/${id}/resume`],
    ['POST', `endpoints/${id}/test`],
    ['PATCH', `tickets/${ticket_id}`, { webhook_url: 'x' }],
    ['PATCH', 'tickets/none', { webhook_url: url }],
  ] as const) {
    const { status } = await api.call(method, `/api/v1/${path}`, body)
    assert.ok(status >= 400 || body === undefined || 'state' in body, path)
  }
  assert.deepEqual(await list(), [])
})

test('a change is not made where its row cannot be written', async () => {
  await endpoint(database, url)
  await database.query(`alter table webhook_audit add constraint refused check (action <> 'endpoint.pause')`)
  try {
    const answer = await api.call('POST', `/api/v1/endpoints/${endpointId}/pause`)
    assert.equal(answer.status, 422)
    const [row] = await database.query('select paused_at from webhook_endpoints')
    assert.deepEqual(row, { paused_at: null })
  } finally {
    await database.query('alter table webhook_audit drop constraint refused')
  }
})

describe('the list', () => {
  beforeEach(async () => {
    await database.query(
      `insert into webhook_audit (at, actor, action, target) values
         ('2026-01-01', 'a', 'endpoint.pause', 'endpoints/1'), ('2026-01-02', 'b', 'endpoint.pause', 'endpoints/2'),
         ('2026-01-02', 'b', 'endpoint.resume', 'endpoints/1'), ('2026-01-03', 'a', 'delivery.replay', 'deliveries/1')`,
    )
  })
  const brief = async (query: string) =>
    (await list(query)).map((row) => `${String(row['actor'])} ${String(row['target'])}`)

  for (const [query, expected] of [
    ['', ['a deliveries/1', 'b endpoints/1', 'b endpoints/2', 'a endpoints/1']],
    ['actor=a', ['a deliveries/1', 'a endpoints/1']],
    ['action=endpoint.pause', ['b endpoints/2', 'a endpoints/1']],
    ['target=endpoints/1', ['b endpoints/1', 'a endpoints/1']],
    ['from=2026-01-02&to=2026-01-03', ['b endpoints/1', 'b endpoints/2']],
  ] as const) {
    test(`of ${query || 'all'} is newest first`, async () => {
      assert.deepEqual(await brief(query), expected)
    })
  }

  test('pages of every size show each once', async () => {
    const all = await brief('')
    for (const limit of [1, 2, 3, 4]) {
      const seen: string[] = []
      for (let cursor: string | null = ''; cursor !== null;) {
        const page: string = `limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}`
        seen.push(...(await brief(page)))
        cursor = (await api.call('GET', `/api/v1/audit?${page}`)).body.next_cursor
      }
      assert.deepEqual(seen, all, `limit ${limit}`)
    }
  })

  for (const [query, wrong] of [
    ['from=x', '#/from'],
    ['limit=101', '#/limit'],
    ['who=a', '#/who'],
    [`cursor=${Buffer.from('["2026-01-01T00:00:00+00:00","x"]').toString('base64url')}`, '#/cursor'],
    [
      `cursor=${Buffer.from('["2026-01-01T00:00:00+00:00","9999999999999999999"]').toString('base64url')}`,
      '#/cursor',
    ],
  ] as const) {
    test(`with ${query.slice(0, 20)} is 422`, async () => {
      const answer = await api.call('GET', `/api/v1/audit?${query}`)
      assert.equal(answer.status, 422)
      assert.deepEqual(pointers(answer), [wrong])
    })
  }
})
