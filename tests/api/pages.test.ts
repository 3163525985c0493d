import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createTestApi, pointers, type TestApi } from './support.ts'

async function pages(api: TestApi, path: string, between?: (page: number) => Promise<unknown>) {
  const ids: string[] = []
  let cursor: string | null = null
  for (let page = 0; page < 200; page += 1) {
    const { status, body, text } = await api.call(
      'GET',
      `${path}${path.includes('?') ? '&' : '?'}${cursor === null ? '' : `cursor=${cursor}`}`,
    )
    assert.equal(status, 200, text)
    assert.deepEqual(Object.keys(body), ['items', 'next_cursor'])
    ids.push(...body.items.map((item) => item.id))
    cursor = body.next_cursor
    if (cursor === null) return ids
    await between?.(page)
  }
  throw new Error('the pages do not end')
}

describe('lists', () => {
  test('an empty list has no items and no cursor', async (t) => {
    const api = await createTestApi(t)
    for (const resource of ['projects', 'tickets', 'tasks', 'agents', 'deliveries']) {
      const { body } = await api.call('GET', `/api/v1/${resource}`)
      assert.deepEqual(body, { items: [], next_cursor: null })
    }
  })

  test('newest first, then by id, then those without a time; each once, on pages of every size', async (t) => {
    const api = await createTestApi(t)
    await api.database.query(`alter table projects alter column created_at drop not null`)
    // Three share a microsecond, others are one apart, and some are infinite or have none.
    await api.database.query(`
      insert into projects (id, name, created_at) values
        ('none-a', 'x', null), ('none-b', 'x', null), ('none-c', 'x', null),
        ('same-a', 'x', '2026-01-01 00:00:00.000002Z'), ('same-b', 'x', '2026-01-01 00:00:00.000002Z'),
        ('same-c', 'x', '2026-01-01 00:00:00.000002Z'), ('older', 'x', '2026-01-01 00:00:00.000001Z'),
        ('newer', 'x', '2026-01-01 00:00:00.000003Z'), ('ever', 'x', 'infinity'), ('never', 'x', '-infinity'),
        ('caesar', 'x', '0044-03-15 BC'), ('far', 'x', '20000-01-01')`)
    const expected = [
      ...[
        'ever',
        'far',
        'newer',
        'same-c',
        'same-b',
        'same-a',
        'older',
        'caesar',
        'never',
        'none-c',
        'none-b',
        'none-a',
      ],
    ]
    for (const limit of [1, 2, 3, 5, 11, 12, 100]) {
      assert.deepEqual(await pages(api, `/api/v1/projects?limit=${limit}`), expected, `limit ${limit}`)
    }
  })

  test('what is inserted between two pages neither repeats nor hides anything', async (t) => {
    const api = await createTestApi(t)
    for (let i = 0; i < 7; i += 1) await api.call('POST', '/api/v1/agents', { id: `a${i}` })
    const seen = await pages(api, '/api/v1/agents?limit=2', (page) =>
      api.call('POST', '/api/v1/agents', { id: `new${page}` }),
    )
    assert.deepEqual(seen, ['a6', 'a5', 'a4', 'a3', 'a2', 'a1', 'a0'])
  })

  test('50 are on a page by default', async (t) => {
    const api = await createTestApi(t)
    await api.database.query(
      `insert into tasks (id, title) select 'k' || i, 'x' from generate_series(1, 51) i`,
    )
    const { body } = await api.call('GET', '/api/v1/tasks')
    assert.equal(body.items.length, 50)
    assert.notEqual(body.next_cursor, null)
  })

  test('filters select', async (t) => {
    const api = await createTestApi(t)
    for (const [resource, rows] of [
      ['projects', [{ id: 'p', name: 'x' }]],
      [
        'tickets',
        [
          { id: 't', title: 'x', project_id: 'p' },
          { id: 'u', title: 'x', status: 'odd' },
        ],
      ],
      ['agents', [{ id: 'a', agent_type: 'coder' }, { id: 'b' }]],
      [
        'tasks',
        [
          { id: 'k', title: 'x', ticket_id: 't', assigned_agent_id: 'a' },
          { id: 'l', title: 'x', status: 'odd' },
        ],
      ],
    ] as const) {
      for (const row of rows) await api.call('POST', `/api/v1/${resource}`, row)
    }
    for (const [query, expected] of [
      ['tickets?project_id=p', ['t']],
      ['tickets?status=odd', ['u']],
      ['tickets?status=odd&project_id=p', []],
      ['agents?agent_type=coder', ['a']],
      ['tasks?ticket_id=t', ['k']],
      ['tasks?assigned_agent_id=a', ['k']],
      ['tasks?status=odd', ['l']],
      ['projects?status=active', ['p']],
    ] as const) {
      assert.deepEqual(await pages(api, `/api/v1/${query}`), expected, query)
    }
  })
})

test('query parameters that are wrong are refused and pointed to', async (t) => {
  const api = await createTestApi(t)
  const cursor = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  for (const [query, expected] of [
    ['limit=0', ['#/limit']],
    ['limit=101', ['#/limit']],
    ['limit=-1', ['#/limit']],
    ['limit=1.5', ['#/limit']],
    ['limit=1e1', ['#/limit']],
    ['limit=', ['#/limit']],
    ['limit=%201', ['#/limit']],
    ['limit=1&limit=2', ['#/limit']],
    ['cursor=', ['#/cursor']],
    ['cursor=x', ['#/cursor']],
    ['cursor=%00', ['#/cursor']],
    [`cursor=${cursor({})}`, ['#/cursor']],
    [`cursor=${cursor([1, 2])}`, ['#/cursor']],
    [`cursor=${cursor(['now', 'x'])}`, ['#/cursor']],
    [`cursor=${cursor(['2026-02-30T00:00:00+00:00', 'x'])}`, ['#']],
    [`cursor=${cursor(['2026-01-01T00:00:00+00:00', 'x\0'])}`, ['#/cursor']],
    [`cursor=${cursor(['2026-01-01T00:00:00+00:00', '\ud800'])}`, ['#/cursor']],
    ['nope=1', ['#/nope']],
    ['__proto__=1', ['#/__proto__']],
    ['limit=0&nope&cursor=x', ['#/cursor', '#/limit', '#/nope']],
    ['status=', ['#/status']],
    ['status=%00', ['#/status']],
  ] as const) {
    const answer = await api.call('GET', `/api/v1/projects?${query}`)
    assert.equal(answer.status, 422, `${query}: ${answer.text}`)
    assert.deepEqual(pointers(answer), expected, query)
  }
})
