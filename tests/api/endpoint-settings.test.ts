import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { after, beforeEach, describe, test } from 'node:test'
import { createAddressPolicy } from '../../src/delivery/address-policy.ts'
import { createSender } from '../../src/delivery/send.ts'
import { webhookTest } from '../../src/events.ts'
import { onCleanup } from '../support/cleanup.ts'
import { clear, endpoint, endpointOf, open, owe, receiver } from '../support/endpoints.ts'
import { putEvent, putTicket } from '../support/events.ts'
import { createTestApi, pointers } from './support.ts'

const api = await createTestApi({ after })
const { database } = api
const base = '/api/v1/endpoints'
const idOf = (url: string) =>
  hash('md5', url.split(/[?#]/, 1)[0]!).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
const url = 'http://127.0.0.1:9/x'
const path = `${base}/${idOf(url)}`
const patch = (body: unknown) => api.call('PATCH', path, body)

beforeEach(() => clear(database))

const stored = async () =>
  (
    await database.query(
      `select max_in_flight, retry_schedule::text, timeout::text, max_owed_age::text, headers from webhook_endpoints`,
    )
  )[0]

describe('PATCH', () => {
  test('sets limits and headers, shows them without the values of headers, and null takes them back', async () => {
    await endpoint(database, url)
    const answer = await patch({
      max_in_flight: 2,
      retry_schedule: ['1500ms', '90s', '2h'],
      timeout: '5s',
      max_owed_age: '7d',
      headers: { 'X-Api-Key': 'canary', authorization: 'Bearer canary' },
    })
    assert.equal(answer.status, 200, answer.text)
    assert.doesNotMatch(answer.text, /canary/)
    const { max_in_flight, retry_schedule, timeout, max_owed_age, header_names } = answer.body
    assert.deepEqual(
      { max_in_flight, retry_schedule, timeout, max_owed_age, header_names },
      {
        max_in_flight: 2,
        retry_schedule: ['1500ms', '90s', '2h'],
        timeout: '5s',
        max_owed_age: '7d',
        header_names: ['authorization', 'x-api-key'],
      },
    )
    assert.deepEqual(await stored(), {
      max_in_flight: 2,
      retry_schedule: '{00:00:01.5,00:01:30,02:00:00}',
      timeout: '00:00:05',
      max_owed_age: '168:00:00',
      headers: { authorization: 'Bearer canary', 'x-api-key': 'canary' },
    })
    const [row] = await database.query('select detail::text from webhook_audit order by id desc limit 1')
    assert.doesNotMatch(String(row!['detail']), /canary/)

    const nulls = {
      max_in_flight: null,
      retry_schedule: null,
      timeout: null,
      max_owed_age: null,
      headers: null,
    }
    assert.equal((await patch(nulls)).status, 200)
    assert.deepEqual(await stored(), nulls)
  })

  test('keeps what it does not name: headers are merged by their names, in whatever case', async () => {
    await endpoint(database, url, { headers: `'{"a": "1", "b": "2"}'`, max_in_flight: '3' })
    assert.equal((await patch({ headers: { B: 'two', C: '3' } })).status, 200)
    assert.deepEqual((await stored())!['headers'], { a: '1', b: 'two', c: '3' })
    assert.equal((await patch({ headers: { A: null, b: null, c: null, d: null } })).status, 200)
    assert.deepEqual([(await stored())!['headers'], (await stored())!['max_in_flight']], [null, 3])
  })

  test('an empty retry schedule is one without retries', async () => {
    await endpoint(database, url)
    assert.deepEqual((await patch({ retry_schedule: [] })).body['retry_schedule'], [])
    assert.equal((await stored())!['retry_schedule'], '{}')
  })

  test('of nothing answers the endpoint', async () => {
    await endpoint(database, url)
    const answer = await patch({})
    assert.deepEqual([answer.status, answer.body.id], [200, idOf(url)])
  })

  test('works before the first event', async () => {
    await putTicket(database, { url: `${url}?token` })
    assert.equal((await patch({ max_in_flight: 1 })).status, 200)
    assert.equal((await endpointOf(database, url))['max_in_flight'], 1)
  })

  const longValue = 'v'.repeat(4_096)
  for (const [body, wrong] of [
    [{ max_in_flight: 0 }, '#/max_in_flight'],
    [{ max_in_flight: 1.5 }, '#/max_in_flight'],
    [{ max_in_flight: '4' }, '#/max_in_flight'],
    [{ max_in_flight: 100_001 }, '#/max_in_flight'],
    [{ timeout: '28001ms' }, '#/timeout'],
    [{ timeout: '0s' }, '#/timeout'],
    [{ timeout: '5' }, '#/timeout'],
    [{ timeout: 5 }, '#/timeout'],
    [{ timeout: ' 5s' }, '#/timeout'],
    [{ max_owed_age: '-1d' }, '#/max_owed_age'],
    [{ max_owed_age: '36500d' }, '#/max_owed_age'],
    [{ retry_schedule: '1s' }, '#/retry_schedule'],
    [{ retry_schedule: ['1s', '0s'] }, '#/retry_schedule/1'],
    [{ retry_schedule: [null] }, '#/retry_schedule/0'],
    [{ retry_schedule: Array.from({ length: 101 }, () => '1s') }, '#/retry_schedule'],
    [{ headers: [] }, '#/headers'],
    [{ headers: 'x' }, '#/headers'],
    [{ headers: { 'x y': '1' } }, '#/headers/x%20y'],
    [{ headers: { '': '1' } }, '#/headers/'],
    [{ headers: { ü: '1' } }, '#/headers/%C3%BC'],
    [{ headers: { ['x'.repeat(101)]: '1' } }, `#/headers/${'x'.repeat(101)}`],
    [{ headers: { x: '' } }, '#/headers/x'],
    [{ headers: { x: ' 1' } }, '#/headers/x'],
    [{ headers: { x: 'a\r\nb: c' } }, '#/headers/x'],
    [{ headers: { x: 'é' } }, '#/headers/x'],
    [{ headers: { x: 1 } }, '#/headers/x'],
    [{ headers: { x: `${longValue}v` } }, '#/headers/x'],
    [{ headers: { x: '1', X: '2' } }, '#/headers/X'],
    [{ headers: Object.fromEntries(Array.from({ length: 21 }, (_, n) => [`x${n}`, '1'])) }, '#/headers'],
    ...[
      ...['Content-Type', 'host', 'CONTENT-LENGTH', 'transfer-encoding', 'connection', 'user-agent'],
      ...['webhook-id', 'Webhook-Anything', 'keep-alive', 'upgrade', 'expect', 'te', 'trailer'],
    ].map((name) => [{ headers: { [name]: 'x' } }, `#/headers/${name}`] as const),
    [{ url: 'x' }, '#/url'],
    [{ paused_at: null }, '#/paused_at'],
  ] as const) {
    test(`of ${JSON.stringify(body).slice(0, 60)} is 422 at ${wrong.slice(0, 40)}, and changes nothing`, async () => {
      await endpoint(database, url)
      const answer = await patch(body)
      assert.equal(answer.status, 422, answer.text)
      assert.deepEqual(pointers(answer), [wrong])
      assert.deepEqual(await stored(), {
        max_in_flight: null,
        retry_schedule: null,
        timeout: null,
        max_owed_age: null,
        headers: null,
      })
    })
  }

  test('takes the largest of everything', async () => {
    await endpoint(database, url)
    const answer = await patch({
      max_in_flight: 100_000,
      timeout: '28s',
      max_owed_age: '3650d',
      retry_schedule: Array.from({ length: 100 }, () => '3650d'),
      headers: Object.fromEntries(
        Array.from({ length: 11 }, (_, n) => [`${'x'.repeat(98)}${n + 10}`, longValue]),
      ),
    })
    assert.equal(answer.status, 200, answer.text)
  })

  test('a member __proto__ is a header as any other', async () => {
    await endpoint(database, url)
    const answer = await api.call('PATCH', path, undefined, { raw: '{"headers": {"__proto__": "1"}}' })
    assert.deepEqual(answer.body['header_names'], ['__proto__'])
  })

  test('more headers than there may be together is 422', async () => {
    await endpoint(database, url)
    const some = (from: number, count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`x${from + n}`, '1']))
    assert.equal((await patch({ headers: some(0, 15) })).status, 200)
    const answer = await patch({ headers: some(15, 6) })
    assert.equal(answer.status, 422)
    assert.deepEqual(pointers(answer), ['#/headers'])
    assert.equal((await patch({ headers: some(15, 5) })).status, 200)
  })

  test('of an endpoint that nobody knows is 404', async () => {
    for (const body of [{ max_in_flight: 1 }, {}]) {
      assert.equal(
        (await api.call('PATCH', `${base}/${idOf('http://127.0.0.1:9/nowhere')}`, body)).status,
        404,
      )
    }
  })
})

describe('a test event', () => {
  const run = (of: string) => api.call('POST', `${base}/${idOf(of)}/test`)

  test('is sent at once, with the keys that every event has, and its answer is shown', async (t) => {
    const hooks = await receiver(t, { status: 201, body: 'thank you' })
    await endpoint(database, hooks.url('/in'), { headers: `'{"x-token": "secret"}'` })
    const answer = await run(hooks.url('/in'))
    assert.equal(answer.status, 200, answer.text)
    const [request] = hooks.requests
    const event = webhookTest.parse(request!.body)
    assert.equal(event.entity_id, idOf(hooks.url('/in')))
    assert.deepEqual(
      Object.keys(request!.body),
      'event_type timestamp entity_type entity_id project_id ticket_id task_id agent_id data'.split(' '),
    )
    assert.ok(Math.abs(Date.parse(event.timestamp) - Date.now()) < 60_000)
    assert.equal(request!.headers['webhook-id'], answer.body['event_id'])
    assert.equal(request!.headers['webhook-attempt'], '1')
    assert.equal(request!.headers['x-token'], 'secret')
    const { delivered, status, response, error, url: shown } = answer.body
    assert.deepEqual(
      { delivered, status, response, error, url: shown },
      { delivered: true, status: 201, response: 'thank you', error: null, url: hooks.url('/in') },
    )
    assert.equal(typeof answer.body['duration_ms'], 'number')
  })

  for (const [what, answers, expected] of [
    [
      'a 503',
      { status: 503, body: 'busy' },
      { delivered: false, status: 503, response: 'busy', error: /^503/ },
    ],
    ['a 410', { status: 410 }, { delivered: false, status: 410, response: '', error: /^410 Gone/ }],
    ['a reset', 'reset', { delivered: false, status: null, response: null, error: /./ }],
  ] as const) {
    test(`that gets ${what} says so, and counts in nothing`, async (t) => {
      const hooks = await receiver(t, answers)
      await endpoint(database, hooks.url(), { ...open, probe_at: `'2100-01-01'` })
      const before = await endpointOf(database, hooks.url())
      const { status, body } = await run(hooks.url())
      assert.equal(status, 200)
      assert.deepEqual(
        [body['delivered'], body['status'], body['response']],
        [expected.delivered, expected.status, expected.response],
      )
      assert.match(String(body['error']), expected.error)
      const now = await endpointOf(database, hooks.url())
      assert.deepEqual({ ...now, probe_in: before.probe_in }, before)
      assert.deepEqual(await database.query('select event_id from webhook_events'), [])
      assert.deepEqual(await database.query('select event_id from webhook_attempts'), [])
    })
  }

  test("ends at the endpoint's own timeout", async (t) => {
    const hooks = await receiver(t, 'hang')
    await endpoint(database, hooks.url(), { timeout: `interval '50 ms'` })
    const { body } = await run(hooks.url())
    assert.deepEqual([body['delivered'], body['status']], [false, null])
    assert.match(String(body['error']), /timed out/)
    assert.ok(Number(body['duration_ms']) < 1_500)
  })

  test('has the query that its last event has, owed or settled, or that is configured, and shows none of it', async (t) => {
    const hooks = await receiver(t)
    const last = () => hooks.requests.at(-1)!.path
    const test = async () => {
      const answer = await run(hooks.url('/q'))
      assert.equal(answer.status, 200, answer.text)
      assert.doesNotMatch(answer.text, /canary/)
    }
    await putTicket(database, { url: hooks.url('/q?canary=configured') })
    await test()
    assert.equal(last(), '/q?canary=configured')
    await putEvent(database, { url: hooks.url('/q?canary=older'), created_at: '2026-01-01' })
    await putEvent(database, { url: hooks.url('/q?canary=settled'), created_at: '2026-01-02' })
    await test()
    assert.equal(last(), '/q?canary=settled')
    await owe(database, hooks.url('/q?canary=owed'))
    await test()
    assert.equal(last(), '/q?canary=owed')
    const [row] = await database.query(`select string_agg(detail::text, ' ') as all from webhook_audit`)
    assert.doesNotMatch(String(row!['all']), /canary/)
  })

  test('is sent to no address that is not allowed', async (t) => {
    const hooks = await receiver(t)
    const policy = createAddressPolicy({ policy: 'internal', allow: [], deny: [] })
    const sender = createSender({
      timeoutMs: 1_000,
      version: '0',
      maxSockets: 1,
      checkAddress: ({ ip }) => policy.check(ip),
    })
    onCleanup(t, () => sender.close())
    const strict = await createTestApi(t, { sender })
    await endpoint(strict.database, hooks.url())
    const { status, body } = await strict.call('POST', `${base}/${idOf(hooks.url())}/test`)
    assert.deepEqual([status, body['delivered'], body['status']], [200, false, null])
    assert.match(String(body['error']), /address not allowed/)
    assert.equal(hooks.requests.length, 0)
  })

  test('of an endpoint that nobody knows is 404', async () => {
    assert.equal((await run('http://127.0.0.1:9/nowhere')).status, 404)
    assert.equal((await api.call('POST', `${base}/x/test`)).status, 404)
  })
})
