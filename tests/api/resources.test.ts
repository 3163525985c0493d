import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { createTestApi, pointers } from './support.ts'

const iso = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const api = await createTestApi({ after })

describe('create', () => {
  test('a project gets an id, a status and times, and is found at its Location', async () => {
    const created = await api.call('POST', '/api/v1/projects', { name: 'P' })
    assert.equal(created.status, 201, created.text)
    assert.deepEqual(Object.keys(created.body), [
      ...['id', 'name', 'status', 'webhook_url', 'created_at', 'updated_at'],
    ])
    assert.equal(created.body.status, 'active')
    assert.equal(created.body.webhook_url, null)
    assert.match(created.body.created_at, iso)
    assert.match(created.body.updated_at, iso)
    const found = await api.call('GET', created.headers.get('location')!)
    assert.equal(found.status, 200)
    assert.deepEqual(found.body, created.body)
    assert.equal(found.headers.get('content-type'), 'application/json')
  })

  test('a project, ticket, agent and task with all properties keep them', async () => {
    const rows: [string, Record<string, unknown>][] = [
      ['projects', { id: 'full-p', name: 'P', status: 'paused', webhook_url: 'https://example.com/p?x=1' }],
      ['tickets', { id: 'full-t', project_id: 'full-p', title: 'T', status: 's', webhook_url: null }],
      ['agents', { id: 'full-a', agent_type: 'coder', status: 'busy' }],
      [
        'tasks',
        {
          ...{
            id: 'full-k',
            ticket_id: 'full-t',
            title: 'K',
            status: 'assigned',
            assigned_agent_id: 'full-a',
          },
          ...{ result: { a: [1, 'x', null] }, error_message: 'e\nf', retry_count: 2, max_retries: 9 },
        },
      ],
    ]
    for (const [resource, row] of rows) {
      const created = await api.call('POST', `/api/v1/${resource}`, row)
      assert.equal(created.status, 201, created.text)
      const found = await api.call('GET', `/api/v1/${resource}/${String(row['id'])}`)
      for (const [key, value] of Object.entries(row)) assert.deepEqual(found.body[key], value, key)
    }
  })

  test('a duplicate id is a conflict', async () => {
    await api.call('POST', '/api/v1/agents', { id: 'twice' })
    const again = await api.call('POST', '/api/v1/agents', { id: 'twice' })
    assert.equal(again.status, 409)
    assert.equal(again.headers.get('content-type'), 'application/problem+json')
  })

  test('two creations of one id at once: one of them wins, the others conflict', async () => {
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => api.call('POST', '/api/v1/projects', { id: 'race', name: 'x' })),
    )
    assert.deepEqual(answers.map((a) => a.status).sort(), [201, 409, 409, 409, 409, 409])
  })

  test('an id may hold a slash, a percent sign, a space and any letters', async () => {
    for (const id of ['a/b', '100%', 'a%20b', 'x y', 'ä→😀', '?#&', '__proto__', 'con.']) {
      const created = await api.call('POST', '/api/v1/agents', { id })
      assert.equal(created.status, 201, created.text)
      const found = await api.call('GET', created.headers.get('location')!)
      assert.equal(found.body?.id, id)
    }
  })

  for (const [status, started, completed] of [
    ['pending', false, false],
    ['running', true, false],
    ['completed', false, true],
    ['failed', false, true],
  ] as const) {
    test(`a task created as ${status} has ${started ? 'a' : 'no'} start and ${completed ? 'an' : 'no'} end`, async () => {
      const { body } = await api.call('POST', '/api/v1/tasks', { title: 'x', status })
      assert.equal(body.started_at !== null, started)
      assert.equal(body.completed_at !== null, completed)
    })
  }
})

describe('patch', () => {
  test('an absent key keeps, null clears, and the whole resource comes back', async () => {
    const { body } = await api.call('POST', '/api/v1/tasks', {
      ...{ title: 'K', error_message: 'e', result: { a: 1, b: 2 } },
    })
    const path = `/api/v1/tasks/${body.id}`
    const replaced = await api.call('PATCH', path, { result: { c: 3 } })
    assert.equal(replaced.status, 200)
    assert.deepEqual(replaced.body.result, { c: 3 })
    assert.equal(replaced.body.error_message, 'e')
    const cleared = await api.call('PATCH', path, { result: null, error_message: null })
    assert.equal(cleared.body.result, null)
    assert.equal(cleared.body.error_message, null)
    assert.equal(cleared.body.title, 'K')
    const [row] = await api.database.query(`select result is null as none from tasks where id = $1`, [
      body.id,
    ])
    assert.deepEqual(row, { none: true })
  })

  test('an empty patch changes nothing, updated_at included', async () => {
    const { body } = await api.call('POST', '/api/v1/projects', { name: 'still' })
    const patched = await api.call('PATCH', `/api/v1/projects/${body.id}`, {})
    assert.equal(patched.status, 200)
    assert.deepEqual(patched.body, body)
  })

  test('a change moves updated_at and leaves created_at', async () => {
    const { body } = await api.call('POST', '/api/v1/projects', { name: 'before' })
    await api.database.query(`update projects set updated_at = now() - interval '1 hour' where id = $1`, [
      body.id,
    ])
    const patched = await api.call('PATCH', `/api/v1/projects/${body.id}`, { name: 'after' })
    assert.equal(patched.body.created_at, body.created_at)
    assert.ok(patched.body.updated_at >= body.updated_at)
  })

  test('application/merge-patch+json is accepted', async () => {
    const { body } = await api.call('POST', '/api/v1/projects', { name: 'm' })
    const headers = { 'content-type': 'application/merge-patch+json; charset=UTF-8' }
    const patched = await api.call('PATCH', `/api/v1/projects/${body.id}`, { name: 'n' }, { headers })
    assert.equal(patched.body.name, 'n')
  })

  test('concurrent patches of different properties are all kept', async () => {
    const { body } = await api.call('POST', '/api/v1/tasks', { title: 'x' })
    const path = `/api/v1/tasks/${body.id}`
    await Promise.all([
      api.call('PATCH', path, { title: 'y' }),
      api.call('PATCH', path, { retry_count: 1 }),
      api.call('PATCH', path, { max_retries: 7 }),
      api.call('PATCH', path, { error_message: 'z' }),
    ])
    const { body: end } = await api.call('GET', path)
    assert.deepEqual([end.title, end.retry_count, end.max_retries, end.error_message], ['y', 1, 7, 'z'])
  })

  test('running sets started_at once, completed and failed set completed_at once', async () => {
    const { body } = await api.call('POST', '/api/v1/tasks', { title: 'x' })
    const path = `/api/v1/tasks/${body.id}`
    const patch = async (status: string) => (await api.call('PATCH', path, { status })).body
    assert.equal((await patch('assigned')).started_at, null)
    const running = await patch('running')
    assert.match(running.started_at, iso)
    const completed = await patch('completed')
    assert.match(completed.completed_at, iso)
    assert.equal(completed.started_at, running.started_at)
    const again = await patch('running')
    assert.equal(again.started_at, running.started_at)
    assert.equal((await patch('failed')).completed_at, completed.completed_at)
  })

  test('the result is any JSON, and is stored as that', async () => {
    const { body } = await api.call('POST', '/api/v1/tasks', { title: 'x' })
    const path = `/api/v1/tasks/${body.id}`
    for (const result of [
      [1, 2],
      [],
      {},
      'text',
      '',
      0,
      -0.5,
      1e308,
      5e-324,
      true,
      false,
      [[{ a: [null] }]],
    ]) {
      const patched = await api.call('PATCH', path, { result })
      assert.equal(patched.status, 200, patched.text)
      assert.deepEqual(patched.body.result, result)
    }
    const raw = `{"result":{"__proto__":{"x":1},"a":1,"a":2}}`
    const patched = await api.call('PATCH', path, undefined, {
      raw,
      headers: { 'content-type': 'application/json' },
    })
    assert.match(patched.text, /"result":\{"a": 2, "__proto__": \{"x": 1\}\}/)
  })

  for (const [resource, body] of [
    ['projects', { id: 'x' }],
    ['projects', { created_at: '2026-01-01T00:00:00Z' }],
    ['tasks', { completed_at: '2026-01-01T00:00:00Z' }],
    ['tickets', { name: 'x' }],
  ] as const) {
    test(`${Object.keys(body)[0]} of ${resource} cannot be patched`, async () => {
      const patched = await api.call('PATCH', `/api/v1/${resource}/any`, body)
      assert.equal(patched.status, 422)
      assert.deepEqual(pointers(patched), [`#/${Object.keys(body)[0]}`])
    })
  }
})

describe('unknown ids', () => {
  const long = 'x'.repeat(5_000)
  for (const resource of ['projects', 'tickets', 'tasks', 'agents', 'deliveries']) {
    for (const id of ['nope', '%00', 'a%00b', long, '%F0%9F%98%80', '%2F', "'; drop table tasks"]) {
      test(`GET /${resource}/${id.slice(0, 20)} is 404`, async () => {
        const found = await api.call('GET', `/api/v1/${resource}/${id}`)
        assert.equal(found.status, 404)
        assert.equal(found.headers.get('content-type'), 'application/problem+json')
        assert.equal(found.body.status, 404)
      })
    }
    test(`GET /${resource}/ with a malformed percent-encoding is 400`, async () => {
      for (const id of ['%', '%E0%A4%A', '%FF', 'a%zz']) {
        const found = await api.call('GET', `/api/v1/${resource}/${id}`)
        assert.equal(found.status, 400, id)
        assert.equal(found.headers.get('content-type'), 'application/problem+json')
      }
    })
  }
  for (const resource of ['projects', 'tickets', 'tasks']) {
    test(`PATCH of an unknown one of ${resource} is 404, also with a reference to nothing`, async () => {
      assert.equal((await api.call('PATCH', `/api/v1/${resource}/nope`, { status: 'x' })).status, 404)
      assert.equal((await api.call('PATCH', `/api/v1/${resource}/a%00b`, { status: 'x' })).status, 404)
      assert.equal((await api.call('PATCH', `/api/v1/${resource}/nope`, {})).status, 404)
    })
  }
  test('PATCH of an unknown task that refers to nothing is 404', async () => {
    assert.equal((await api.call('PATCH', '/api/v1/tasks/nope', { ticket_id: 'nope' })).status, 404)
  })
})

describe('routes', () => {
  for (const [method, path, allow] of [
    ['PUT', '/api/v1/projects', 'GET, HEAD, POST'],
    ['DELETE', '/api/v1/projects/x', 'GET, HEAD, PATCH'],
    ['PATCH', '/api/v1/agents/x', 'GET, HEAD'],
    ['OPTIONS', '/api/v1/tasks', 'GET, HEAD, POST'],
    ['GET', '/api/v1/agents/x/heartbeat', 'POST'],
    ['HEAD', '/api/v1/agents/x/stuck', 'POST'],
    ['POST', '/api/v1/deliveries', 'GET, HEAD'],
    ['POST', '/livez', 'GET, HEAD'],
    ['OPTIONS', '/readyz', 'GET, HEAD'],
  ] as const) {
    test(`${method} ${path} is 405 and names ${allow}`, async () => {
      const answer = await api.call(method, path)
      assert.equal(answer.status, 405)
      assert.equal(answer.headers.get('allow'), allow)
      assert.equal(answer.headers.get('content-type'), 'application/problem+json')
    })
  }

  for (const path of [
    '/nope',
    '/api',
    '/api/v1',
    '/api/v1/projects/',
    '/api/v1/projects/x/y',
    '/api/v2/projects',
  ]) {
    test(`${path} is a 404 problem`, async () => {
      const answer = await api.call('GET', path)
      assert.equal(answer.status, 404)
      assert.equal(answer.headers.get('content-type'), 'application/problem+json')
    })
  }

  test('HEAD answers as GET does, without a body', async () => {
    for (const path of ['/api/v1/projects', '/livez', '/readyz', '/api/v1/deliveries']) {
      const answer = await api.call('HEAD', path)
      assert.equal(answer.status, 200)
      assert.equal(answer.text, '')
    }
    assert.equal((await api.call('HEAD', '/api/v1/projects/nope')).status, 404)
  })

  test('every answer says no-store and nosniff', async () => {
    for (const path of ['/api/v1/projects', '/livez', '/readyz', '/nope', '/api/v1/projects/nope']) {
      const { headers } = await api.call('GET', path)
      assert.equal(headers.get('cache-control'), 'no-store')
      assert.equal(headers.get('x-content-type-options'), 'nosniff')
      assert.equal(headers.get('access-control-allow-origin'), null)
    }
  })
})
