import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { after, beforeEach, describe, test } from 'node:test'
import { clear, dispatcher, endpoint, endpointOf, open, owe, receiver } from '../support/endpoints.ts'
import { putTicket } from '../support/events.ts'
import { type Body, createTestApi, pointers } from './support.ts'

const api = await createTestApi({ after })
const { database } = api
const base = '/api/v1/endpoints'
const idOf = (url: string) =>
  hash('md5', url.split(/[?#]/, 1)[0]!).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
const url = (path: string) => `http://127.0.0.1:9/${path}`

async function get(of: string): Promise<Body> {
  const answer = await api.call('GET', `${base}/${idOf(of)}`)
  assert.equal(answer.status, 200, answer.text)
  return answer.body
}

async function list(query = ''): Promise<string[]> {
  const { status, text, body } = await api.call('GET', `${base}?${query}`)
  assert.equal(status, 200, text)
  return body.items.map((item) => String(item['url']).replace('http://127.0.0.1:9/', ''))
}

beforeEach(() => clear(database))

describe('the list', () => {
  test('has those that have a row and those that are owed something, newest first, each once', async () => {
    await endpoint(database, url('old'), { created_at: `'2026-01-01'` })
    await endpoint(database, url('both'), { created_at: `'2026-01-02'` })
    await owe(database, url('both?token=canary'), 3)
    await owe(database, url('unclaimed'), 2, { created_at: `'2026-01-03'::timestamptz` })
    assert.deepEqual(await list(), ['unclaimed', 'both', 'old'])
    const { text, body } = await api.call('GET', base)
    assert.doesNotMatch(text, /canary/)
    assert.deepEqual(
      body.items.map(({ owed, due, status }) => ({ owed, due, status })),
      [
        { owed: 2, due: 2, status: 'new' },
        { owed: 3, due: 3, status: 'new' },
        { owed: 0, due: 0, status: 'new' },
      ],
    )
  })

  test('pages of every size show each once', async () => {
    for (let n = 1; n <= 4; n++) await endpoint(database, url(`e${n}`), { created_at: `'2026-01-01'` })
    await owe(database, url('e5'), 1, { created_at: `'2026-01-01'::timestamptz` })
    for (const limit of [1, 2, 3, 5]) {
      const seen: string[] = []
      for (let cursor: string | null = ''; cursor !== null;) {
        const page: string = `limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}`
        seen.push(...(await list(page)))
        cursor = (await api.call('GET', `${base}?${page}`)).body.next_cursor
      }
      assert.deepEqual(seen.toSorted(), ['e1', 'e2', 'e3', 'e4', 'e5'], `limit ${limit}`)
    }
  })

  test('is filtered by breaker, by pause and by what is owed', async () => {
    await endpoint(database, url('open'), open)
    await endpoint(database, url('probing'), { ...open, breaker: `'probing'`, in_flight: '1' })
    await endpoint(database, url('paused'), { paused_at: 'now()' })
    await owe(database, url('open'))
    await owe(database, url('unclaimed'))
    for (const [query, expected] of [
      ['breaker=open', ['open']],
      ['breaker=probing', ['probing']],
      ['breaker=closed', ['paused', 'unclaimed']],
      ['paused=true', ['paused']],
      ['paused=false', ['open', 'probing', 'unclaimed']],
      ['owed=true', ['open', 'probing', 'unclaimed']],
      ['owed=false', ['paused']],
      ['owed=true&breaker=closed', ['unclaimed']],
    ] as const) {
      assert.deepEqual((await list(query)).toSorted(), expected, query)
    }
  })

  test('says what is wrong with a query', async () => {
    for (const [query, wrong] of [
      ['breaker=half', '#/breaker'],
      ['paused=yes', '#/paused'],
      ['owed=1', '#/owed'],
      ['limit=0', '#/limit'],
      ['cursor=x', '#/cursor'],
      [`cursor=${Buffer.from('[null,"x"]').toString('base64url')}`, '#/cursor'],
      ['x=1', '#/x'],
    ]) {
      const answer = await api.call('GET', `${base}?${query}`)
      assert.equal(answer.status, 422, query)
      assert.deepEqual(pointers(answer), [wrong])
    }
  })
})

describe('one endpoint', () => {
  test('says what it is doing and why', async () => {
    for (const [path, columns, status, words] of [
      ['new', {}, 'new', /has not answered yet/],
      ['healthy', { last_success_at: `'2026-01-01'` }, 'healthy', /2xx at 2026-01-01/],
      [
        'failing',
        { failures: '3', failing_since: `'2026-01-02'`, last_error: `'503 Service Unavailable'` },
        'failing',
        /3 failures in a row, the last: 503 Service Unavailable; 2 events owed to it flow/,
      ],
      [
        'open',
        { ...open, last_error: `'ECONNREFUSED'` },
        'open',
        /10 failures.*2 events owed to it wait, and one/,
      ],
      ['probing', { ...open, breaker: `'probing'` }, 'probing', /is probing it now/],
      [
        'paused',
        { ...open, paused_at: `'2026-01-03'`, paused_reason: `'410 Gone'` },
        'paused',
        /paused \(410 Gone\): 2 events owed to it wait for a resume/,
      ],
    ] as const) {
      await endpoint(database, url(path), columns)
      await owe(database, url(path), 2)
      const shown = await get(url(path))
      assert.equal(shown['status'], status)
      assert.match(shown.detail, words)
      assert.deepEqual([shown['owed'], shown['due'], shown['waiting'], shown['in_flight']], [2, 2, 0, 0])
    }
    assert.equal((await get(url('paused')))['since'], '2026-01-03T00:00:00.000Z')
    assert.equal((await get(url('failing')))['since'], '2026-01-02T00:00:00.000Z')
  })

  test('is found by what is owed to it, and by a webhook_url, before it has a row', async () => {
    await owe(database, url('owed?x'))
    await putTicket(database, { url: url('of-ticket?x#y') })
    await putTicket(database, { projectUrl: url('of-project') })
    for (const path of ['owed', 'of-ticket', 'of-project']) {
      const shown = await get(url(path))
      assert.deepEqual([shown['status'], shown['url'], shown.created_at], ['new', url(path), null])
    }
  })

  test('that nobody knows is 404, whatever is done to it', async () => {
    for (const id of [idOf(url('nowhere')), 'x', '%00']) {
      assert.equal((await api.call('GET', `${base}/${id}`)).status, 404)
      assert.equal((await api.call('POST', `${base}/${id}/pause`)).status, 404)
      assert.equal((await api.call('POST', `${base}/${id}/resume`)).status, 404)
    }
    assert.deepEqual(await database.query('select from webhook_endpoints'), [])
  })
})

describe('a pause', () => {
  test('holds back what is owed until the resume, which wakes a dispatcher', async (t) => {
    const hooks = await receiver(t)
    await owe(database, hooks.url(), 3)
    const path = `${base}/${idOf(hooks.url())}`
    const paused = await api.call('POST', `${path}/pause`, { reason: 'they are moving' })
    assert.equal(paused.status, 200, paused.text)
    assert.deepEqual([paused.body['status'], paused.body['paused_reason']], ['paused', 'they are moving'])
    const { dispatcher: running } = dispatcher(t, database, { pollIntervalMs: 60_000 })
    assert.equal(await running.runOnce(), 0)

    running.start()
    const resumed = await api.call('POST', `${path}/resume`)
    assert.equal(resumed.status, 200, resumed.text)
    assert.deepEqual([resumed.body['paused_at'], resumed.body['paused_reason']], [null, null])
    await hooks.waitFor(3)
  })

  test('works before the first event, and its reason is optional', async () => {
    await putTicket(database, { url: url('configured?secret') })
    for (const body of [undefined, {}]) {
      const answer = await api.call('POST', `${base}/${idOf(url('configured'))}/pause`, body)
      assert.equal(answer.status, 200, answer.text)
      assert.equal(answer.body['paused_reason'], 'paused by an operator')
    }
    assert.equal((await endpointOf(database, url('configured'))).paused_reason, 'paused by an operator')
  })

  test('with a bad body is 422, and pauses nothing', async () => {
    await endpoint(database, url('x'))
    for (const body of [{ reason: '' }, { reason: null }, { why: 'x' }, { reason: 'x\0' }]) {
      const answer = await api.call('POST', `${base}/${idOf(url('x'))}/pause`, body)
      assert.equal(answer.status, 422)
    }
    assert.equal((await endpointOf(database, url('x'))).paused_at, null)
  })

  test('a resume probes an open breaker at once', async () => {
    await endpoint(database, url('x'), {
      ...open,
      probe_at: `now() + interval '1 minute'`,
      paused_at: 'now()',
    })
    await api.call('POST', `${base}/${idOf(url('x'))}/resume`)
    assert.ok((await endpointOf(database, url('x'))).probe_in! <= 0)
  })
})
