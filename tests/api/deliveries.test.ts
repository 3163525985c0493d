import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { sleepLockClass } from '../../db/capture.ts'
import { createPool } from '../../src/database/connection.ts'
import { onCleanup } from '../support/cleanup.ts'
import { endpoint, open } from '../support/endpoints.ts'
import { createTestApi, pointers } from './support.ts'

const api = await createTestApi({ after })
const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`

interface Event {
  n: number
  outcome?: 'delivered' | 'dead' | 'discarded'
  at?: string
  columns?: Record<string, unknown>
}

async function insert({
  n,
  outcome,
  at = '2026-01-01T00:00:00.000001Z',
  columns = {},
}: Event): Promise<void> {
  const row: Record<string, unknown> = {
    ...{ event_id: id(n), event_type: 'task.completed', entity_type: 'task', entity_id: `k${n}` },
    ...{ project_id: 'p', ticket_id: 't', task_id: `k${n}`, agent_id: null, created_at: at },
    ...{ url: 'https://example.com/hook?canary#canary', payload: `{"n": ${n}, "n":1e400}`, attempts: 1 },
    ...(outcome === undefined ? {} : { outcome, settled_at: '2026-01-01T00:01:00Z' }),
    ...columns,
  }
  const names = Object.keys(row)
  await api.database.query(
    `insert into ${outcome === undefined ? 'webhook_outbox' : 'webhook_history'} (${names.join(', ')})
     values (${names.map((_, i) => `$${i + 1}`).join(', ')})`,
    Object.values(row),
  )
}

async function list(query: string): Promise<number[]> {
  const { status, text, body } = await api.call('GET', `/api/v1/deliveries?${query}`)
  assert.equal(status, 200, text)
  return body.items.map((item) => Number(String(item['event_id']).slice(-6)))
}

const leased = { state: 'delivering', lease_token: id(0) }
for (const event of [
  {
    n: 1,
    at: '2026-01-01T00:00:00.000001Z',
    columns: { next_attempt_at: '2100-01-01', last_error: 'HTTP 500' },
  },
  {
    n: 2,
    at: '2026-01-01T00:00:00.000002Z',
    outcome: 'delivered',
    columns: { last_status: 200, project_id: 'q' },
  },
  {
    n: 3,
    at: '2026-01-01T00:00:00.000002Z',
    columns: { ...leased, lease_until: '2100-01-01', ticket_id: 'u' },
  },
  {
    n: 4,
    at: '2026-01-01T00:00:00.000003Z',
    outcome: 'dead',
    columns: { last_error: '100% _wrong_ \\ HTTP 503' },
  },
  {
    n: 5,
    at: '2026-01-02T00:00:00Z',
    outcome: 'discarded',
    columns: { last_error: 'url_removed', event_type: 'agent.stuck' },
  },
  {
    n: 6,
    at: '2026-01-03T00:00:00Z',
    columns: { ...leased, lease_until: '2026-01-03', url: 'https://other.example/' },
  },
  { n: 7, at: '2026-01-04T00:00:00Z', columns: { next_attempt_at: '2026-01-04', attempts: 0 } },
  { n: 8, at: '2026-01-05T00:00:00Z', columns: { next_attempt_at: '2100-01-01', attempts: 0 } },
] satisfies Event[]) {
  await insert(event)
}

describe('the list', () => {
  test('has owed and settled events together, newest first, by microsecond and then by id', async () => {
    assert.deepEqual(await list(''), [8, 7, 6, 5, 4, 3, 2, 1])
  })

  test('pages of every size show each event once', async () => {
    for (const limit of [1, 2, 3, 5, 7, 8]) {
      const seen: number[] = []
      let cursor: string | null = ''
      while (cursor !== null) {
        const page: string = `limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}`
        seen.push(...(await list(page)))
        cursor = (await api.call('GET', `/api/v1/deliveries?${page}`)).body.next_cursor
      }
      assert.deepEqual(seen, [8, 7, 6, 5, 4, 3, 2, 1], `limit ${limit}`)
    }
  })

  const endpoint = 'md5:https://other.example/'
  for (const [query, expected] of [
    ['state=pending', [8, 7, 1]],
    ['state=delivering', [6, 3]],
    ['state=delivered', [2]],
    ['state=dead', [4]],
    ['state=discarded', [5]],
    ['event_type=agent.stuck', [5]],
    ['project_id=q', [2]],
    ['ticket_id=u', [3]],
    ['task_id=k4', [4]],
    ['task_id=nope', []],
    ['error=http', [4, 1]],
    ['error=100%25', [4]],
    ['error=%25', [4]],
    ['error=_', [5, 4]],
    ['error=1_0', []],
    ['error=%5C', [4]],
    ['error=removed&state=discarded', [5]],
    ['from=2026-01-03T00:00:00Z', [8, 7, 6]],
    ['from=2026-01-03', [8, 7, 6]],
    ['to=2026-01-03T00:00:00Z', [5, 4, 3, 2, 1]],
    ['from=2026-01-01T00:00:00.000002Z&to=2026-01-01T00:00:00.000003Z', [3, 2]],
    ['from=2026-01-03T02:00:00%2B02:00&to=2026-01-04', [6]],
    ['from=2026-01-04&to=2026-01-03', []],
    [`endpoint_id=${endpoint}`, [6]],
    ['state=pending&project_id=p&limit=2', [8, 7]],
  ] as [string, number[]][]) {
    test(`${query} selects ${expected.join(', ') || 'nothing'}`, async () => {
      const [row] = await api.database.query(`select md5($1)::uuid as id`, [endpoint.slice(4)])
      assert.deepEqual(await list(query.replace(endpoint, String(row!['id']))), expected)
    })
  }

  for (const [query, expected] of [
    ['state=lost', '#/state'],
    ['state=dead&state=pending', '#/state'],
    ['endpoint_id=x', '#/endpoint_id'],
    ['from=yesterday', '#/from'],
    ['from=2026-02-30', '#/from'],
    ['from=2026-01-01T00:00:00', '#/from'],
    ['from=2026-01-01T25:00:00Z', '#/from'],
    ['from=2026-01-01T00:00:00+02:00', '#/from'],
    ['to=0000-01-01', '#/to'],
    ['to=infinity', '#/to'],
    ['to=', '#/to'],
    ['error=', '#/error'],
    ['error=%00', '#/error'],
    ['task_id=a%00', '#/task_id'],
    ['states=dead', '#/states'],
    [`cursor=${Buffer.from('["2026-01-01T00:00:00+00:00","x"]').toString('base64url')}`, '#/cursor'],
    [`cursor=${Buffer.from(`[null,"${id(1)}"]`).toString('base64url')}`, '#/cursor'],
  ] as const) {
    test(`${query} is 422`, async () => {
      const answer = await api.call('GET', `/api/v1/deliveries?${query}`)
      assert.equal(answer.status, 422, answer.text)
      assert.deepEqual(pointers(answer), [expected])
    })
  }

  test('an item has all columns in their order, and the URL without what may be secret', async () => {
    const { body, text } = await api.call('GET', '/api/v1/deliveries?state=delivered')
    assert.deepEqual(body.items[0], {
      ...{ event_id: id(2), event_type: 'task.completed', entity_type: 'task', entity_id: 'k2' },
      ...{ project_id: 'q', ticket_id: 't', task_id: 'k2', agent_id: null },
      url: 'https://example.com/hook',
      endpoint_id: body.items[0]!['endpoint_id'],
      ...{ state: 'delivered', attempts: 1, next_attempt_at: null, last_status: 200, last_error: null },
      ...{ created_at: '2026-01-01T00:00:00.000Z', settled_at: '2026-01-01T00:01:00.000Z' },
    })
    assert.doesNotMatch(text, /canary/)
  })
})

describe('one delivery', () => {
  interface Waiting {
    reason: string
    since: string | null
    until: string | null
    detail: string
  }
  const waitingOf = async (n: number) =>
    (await api.call('GET', `/api/v1/deliveries/${id(n)}`)).body['waiting'] as Waiting

  const later = '2100-01-01T00:00:00.000Z'
  for (const [n, reason, until, words] of [
    [1, 'backing_off', later, /attempt 1 failed/],
    [3, 'delivering', later, /is sending it/],
    [6, 'no_dispatcher', null, /its dispatcher is gone.*start one/],
    [7, 'no_dispatcher', null, /no dispatcher is connected: start one/],
    [8, 'backing_off', later, /first attempt was put off/],
  ] as const) {
    test(`${n} waits because it is ${reason}`, async () => {
      const { detail, ...waiting } = await waitingOf(n)
      assert.deepEqual(waiting, { reason, since: null, until })
      assert.match(detail, words)
    })
  }

  test('a dispatcher whose sessions have other names, as behind a pooler, is seen by its sleep', async (t) => {
    const pool = createPool(api.database.url, { maxConnections: 1, applicationName: 'a pooler' })
    onCleanup(t, () => pool.end())
    await pool.query(`select pg_advisory_lock($1::integer, 'webhook_outbox'::regclass::oid::integer)`, [
      sleepLockClass,
    ])
    assert.equal((await waitingOf(7)).reason, 'due')
    await pool.query('select pg_advisory_unlock_all()')
    assert.equal((await waitingOf(7)).reason, 'no_dispatcher')
  })

  test('with a dispatcher, what is due is only due, also where another one died with it', async (t) => {
    const pool = createPool(api.database.url, { maxConnections: 1, applicationName: 'webhook-outbox listen' })
    onCleanup(t, () => pool.end())
    await pool.query('select')
    for (const [n, words] of [
      [6, /did not report back/],
      [7, /next dispatcher with room/],
    ] as const) {
      const { detail, ...waiting } = await waitingOf(n)
      assert.deepEqual(waiting, { reason: 'due', since: null, until: null })
      assert.match(detail, words)
    }
    const url = 'http://127.0.0.1:9/full'
    await insert({ n: 31, columns: { url, next_attempt_at: '2026-01-01' } })
    for (const [columns, reason] of [
      [{ in_flight: '3', slots: '3' }, 'at_capacity'],
      [{ in_flight: '2', slots: '3' }, 'due'],
      [{ in_flight: '2', slots: '3', max_in_flight: '2' }, 'at_capacity'],
      [{ in_flight: '16', slots: '100' }, 'at_capacity'],
      [{ in_flight: '16', slots: '100', max_in_flight: '50' }, 'due'],
    ] as const) {
      await endpoint(api.database, url, columns)
      assert.equal((await waitingOf(31)).reason, reason, JSON.stringify(columns))
      await api.database.query('delete from webhook_endpoints')
    }
    await api.database.query('delete from webhook_outbox where event_id = $1', [id(31)])
  })

  test('what its endpoint is in the way of says so, and since when', async () => {
    const url = 'http://127.0.0.1:9/waits'
    await insert({ n: 30, columns: { url, next_attempt_at: '2026-01-01' } })
    const opened = { ...open, opened_at: `'2026-01-02'`, probe_at: `'2100-01-01'` }
    for (const [columns, reason, since, until, words] of [
      [opened, 'breaker_open', '2026-01-02T00:00:00.000Z', later, /keeps failing.*probes it then/],
      [
        { ...opened, breaker: `'probing'` },
        'breaker_open',
        '2026-01-02T00:00:00.000Z',
        null,
        /probing it now/,
      ],
      [
        { ...opened, paused_at: `'2026-01-03'`, paused_reason: `'410 Gone'` },
        'paused',
        '2026-01-03T00:00:00.000Z',
        null,
        /paused \(410 Gone\): resume it/,
      ],
    ] as const) {
      await endpoint(api.database, url, columns)
      const { detail, ...waiting } = await waitingOf(30)
      assert.deepEqual(waiting, { reason, since, until })
      assert.match(detail, words)
      await api.database.query('delete from webhook_endpoints')
    }
    await api.database.query('delete from webhook_outbox where event_id = $1', [id(30)])
  })

  test('a settled one waits for nothing', async () => {
    for (const n of [2, 4, 5]) {
      assert.equal((await api.call('GET', `/api/v1/deliveries/${id(n)}`)).body['waiting'], null)
    }
  })

  test('it has the payload as it is sent, and every attempt in order', async () => {
    await api.database.query(
      `insert into webhook_attempts (event_id, attempt, started_at, duration_ms, status, error, response) values
         ($1, 2, '2026-01-01T00:00:03Z', 7, 200, null, '<ok>'), ($1, 1, '2026-01-01T00:00:01Z', null, null, 'lost', null)`,
      [id(2)],
    )
    const { text, body } = await api.call('GET', `/api/v1/deliveries/${id(2).toUpperCase()}`)
    assert.ok(text.includes('"payload":{"n": 2, "n":1e400}'))
    assert.equal(body['attempts'], 1)
    assert.deepEqual(body['attempt_log'], [
      {
        attempt: 1,
        started_at: '2026-01-01T00:00:01.000Z',
        duration_ms: null,
        status: null,
        error: 'lost',
        response: null,
      },
      {
        attempt: 2,
        started_at: '2026-01-01T00:00:03.000Z',
        duration_ms: 7,
        status: 200,
        error: null,
        response: '<ok>',
      },
    ])
    assert.doesNotMatch(text, /canary/)
  })

  test('a URL that is none shows nothing of its query and credentials either', async () => {
    for (const [n, url, shown] of [
      [20, 'https://user:canary@example.com/a?canary', 'https://example.com/a'],
      [21, 'https://user:canary@host:99999/a?canary#canary', 'host:99999/a'],
      [22, 'no url', 'no url'],
      [23, '?canary', ''],
    ] as const) {
      await insert({ n, columns: { url } })
      const { body, text } = await api.call('GET', `/api/v1/deliveries/${id(n)}`)
      assert.equal(body['url'], shown)
      assert.doesNotMatch(text, /canary/)
    }
  })

  for (const unknown of [id(999), 'x', `${id(1)}0`, `{${id(1)}}`, id(1).replaceAll('-', '')]) {
    test(`${unknown} is 404`, async () => {
      assert.equal((await api.call('GET', `/api/v1/deliveries/${unknown}`)).status, 404)
    })
  }
})
