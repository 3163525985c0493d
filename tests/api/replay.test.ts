import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { dispatcher, endpoint, endpointOf, open, receiver } from '../support/endpoints.ts'
import { eventually } from '../support/eventually.ts'
import { eventOf, putEvent, putTicket } from '../support/events.ts'
import { createTestApi } from './support.ts'

const api = await createTestApi({ after })
const unknown = '00000000-0000-4000-8000-00000000dead'
const replay = (id: string) => api.call('POST', `/api/v1/deliveries/${id}/replay`)

describe('a replay', () => {
  for (const outcome of ['delivered', 'dead', 'discarded'] as const) {
    test(`of a ${outcome} event sends it again under its id, to the URL configured now, and goes on counting`, async (t) => {
      const hooks = await receiver(t)
      const ticket = await putTicket(api.database, { url: hooks.url('/now?token=1') })
      const id = await putEvent(api.database, { outcome, ...ticket, last_status: 503, last_error: 'was 503' })
      const answer = await replay(id.toUpperCase())
      assert.equal(answer.status, 202, answer.text)
      const owed = await eventOf(api.database, id)
      assert.equal(owed.state, 'pending')
      assert.equal(owed.created_at.toISOString(), '2026-01-01T00:00:00.000Z')
      assert.deepEqual(answer.body, { matched: 1, event_id: id, endpoint_id: owed['endpoint_id'] })

      await dispatcher(t, api.database).dispatcher.runOnce()
      const [request] = await hooks.waitFor(1)
      assert.equal(request!.path, '/now?token=1')
      assert.equal(request!.headers['webhook-id'], id)
      assert.equal(request!.headers['webhook-attempt'], '5')
      assert.equal(request!.rawBody.toString(), '{"n": 1,  "m":2}')
      const settled = await eventOf(api.database, id)
      assert.deepEqual([settled.state, settled.attempts], ['delivered', 5])
    })
  }

  test('starts the retry schedule over', async (t) => {
    const hooks = await receiver(t, { status: 503 })
    const ticket = await putTicket(api.database, { url: hooks.url() })
    const id = await putEvent(api.database, { ...ticket, attempts: 4 })
    assert.equal((await replay(id)).status, 202)
    const { dispatcher: running } = dispatcher(t, api.database, { retrySchedule: [1, 1, 1] })
    running.start()
    const attempts = await hooks.waitFor(4)
    assert.deepEqual(
      attempts.map(({ headers }) => headers['webhook-attempt']),
      ['5', '6', '7', '8'],
    )
  })

  for (const [what, own, projectUrl, expected] of [
    [
      "the ticket's URL wins over its project's",
      'http://127.0.0.1:9/t/',
      'http://127.0.0.1:9/p/',
      'http://127.0.0.1:9/t/',
    ],
    [
      "an empty one counts as none: the project's is taken",
      '',
      'http://127.0.0.1:9/p/',
      'http://127.0.0.1:9/p/',
    ],
    ["the project's is taken", null, 'http://127.0.0.1:9/p/', 'http://127.0.0.1:9/p/'],
  ] as const) {
    test(what, async () => {
      const ticket = await putTicket(api.database, { url: own, projectUrl })
      const id = await putEvent(api.database, { ...ticket, event_type: 'agent.stuck', entity_type: 'agent' })
      assert.equal((await replay(id)).status, 202)
      assert.equal((await eventOf(api.database, id)).url, expected)
    })
  }

  test("where the ticket is gone, its project's URL is taken", async () => {
    const { project_id } = await putTicket(api.database, { projectUrl: 'http://127.0.0.1:9/p/left' })
    const id = await putEvent(api.database, { ticket_id: 'gone', project_id })
    assert.equal((await replay(id)).status, 202)
    assert.equal((await eventOf(api.database, id)).url, 'http://127.0.0.1:9/p/left')
  })

  test('where no URL is configured is 409, and the event stays where it is', async () => {
    for (const columns of [
      await putTicket(api.database),
      await putTicket(api.database, { url: '', projectUrl: '' }),
      { ticket_id: 'gone' },
      { event_type: 'webhook.test', entity_type: 'endpoint', task_id: null },
    ]) {
      const id = await putEvent(api.database, columns)
      const answer = await replay(id)
      assert.equal(answer.status, 409)
      assert.match(answer.body.detail, /no webhook_url is configured now/)
      assert.equal((await eventOf(api.database, id)).state, 'dead')
    }
  })

  test('of what is owed is 409, pending or in flight', async () => {
    const ticket = await putTicket(api.database, { url: 'http://127.0.0.1:9/t/' })
    for (const columns of [{}, { state: 'delivering', lease_until: '2100-01-01', attempts: 1 }]) {
      const id = await putEvent(api.database, { outcome: null, ...ticket, ...columns })
      const answer = await replay(id)
      assert.equal(answer.status, 409)
      assert.match(answer.body.detail, /is owed/)
    }
  })

  for (const id of [unknown, 'x', `{${unknown}}`, `${unknown}%00`]) {
    test(`of ${id} is 404`, async () => {
      assert.equal((await replay(id)).status, 404)
    })
  }

  test('twice at once is one 202 and one 409', async () => {
    const ticket = await putTicket(api.database, { url: 'http://127.0.0.1:9/t/race' })
    for (let round = 0; round < 10; round++) {
      const id = await putEvent(api.database, ticket)
      const answers = await Promise.all([replay(id), replay(id)])
      assert.deepEqual(answers.map(({ status }) => status).sort(), [202, 409])
      assert.equal((await eventOf(api.database, id)).state, 'pending')
    }
  })

  test('probes an open breaker at once, and leaves one that is being probed', async () => {
    for (const [path, breaker, probes] of [
      ['open', `'open'`, true],
      ['probing', `'probing'`, false],
    ] as const) {
      const url = `http://127.0.0.1:9/breaker/${path}`
      await endpoint(api.database, url, { ...open, breaker, probe_at: `now() + interval '1 minute'` })
      const id = await putEvent(api.database, await putTicket(api.database, { url }))
      assert.equal((await replay(id)).status, 202)
      const { probe_in } = await endpointOf(api.database, url)
      assert.equal(probe_in! <= 0, probes)
    }
  })

  test('wakes a dispatcher that sleeps', async (t) => {
    const hooks = await receiver(t)
    const id = await putEvent(api.database, await putTicket(api.database, { url: hooks.url() }))
    const { dispatcher: running } = dispatcher(t, api.database, { pollIntervalMs: 60_000 })
    running.start()
    // It has gone to sleep once the sleep lock is taken.
    const asleep = async () => {
      const [row] = await api.database.query(
        `select from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock' and granted
           and database = (select oid from pg_database where datname = current_database())`,
      )
      assert.ok(row)
    }
    await eventually(asleep)
    assert.equal((await replay(id)).status, 202)
    await hooks.waitFor(1, { timeoutMs: 5_000 })
  })
})

describe('a discard', () => {
  const discard = (id: string, body?: unknown) => api.call('POST', `/api/v1/deliveries/${id}/discard`, body)

  test('gives up what is owed, with its reason, and can be replayed', async () => {
    const ticket = await putTicket(api.database, { url: 'http://127.0.0.1:9/t/again' })
    for (const [body, error] of [
      [undefined, 'discarded by an operator'],
      [{}, 'discarded by an operator'],
      [{ reason: 'sent by hand' }, 'discarded by an operator: sent by hand'],
    ] as const) {
      const id = await putEvent(api.database, { outcome: null, ...ticket, last_status: 503, attempts: 2 })
      const answer = await discard(id, body)
      assert.equal(answer.status, 200, answer.text)
      assert.deepEqual(answer.body, { matched: 1, event_id: id })
      const event = await eventOf(api.database, id)
      assert.deepEqual(
        [event.state, event.last_error, event['last_status'], event.attempts],
        ['discarded', error, 503, 2],
      )
      assert.equal((await replay(id)).status, 202)
    }
  })

  test('of what is in flight, or settled, is 409 and says why', async () => {
    const flying = await putEvent(api.database, {
      outcome: null,
      state: 'delivering',
      lease_until: '2100-01-01',
    })
    const inFlight = await discard(flying)
    assert.equal(inFlight.status, 409)
    assert.match(inFlight.body.detail, /in flight/)
    assert.equal((await eventOf(api.database, flying)).state, 'delivering')
    for (const outcome of ['delivered', 'dead', 'discarded'] as const) {
      const answer = await discard(await putEvent(api.database, { outcome }))
      assert.equal(answer.status, 409)
      assert.match(answer.body.detail, /settled already/)
    }
  })

  test('of what is not there is 404, and a bad body is 422', async () => {
    assert.equal((await discard(unknown)).status, 404)
    assert.equal((await discard('x')).status, 404)
    const id = await putEvent(api.database, { outcome: null })
    for (const body of [{ reason: '' }, { reason: 1 }, { reasons: 'x' }, { reason: 'x'.repeat(1_001) }, []]) {
      assert.equal((await discard(id, body)).status, 422)
    }
    assert.equal((await eventOf(api.database, id)).state, 'pending')
  })

  test('twice at once is one 200 and one 409', async () => {
    for (let round = 0; round < 10; round++) {
      const id = await putEvent(api.database, { outcome: null })
      const answers = await Promise.all([discard(id), discard(id)])
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409])
    }
  })
})

describe('the same in SQL', () => {
  const fails = async (statement: string, id: string, code: string, words: RegExp) => {
    await assert.rejects(api.database.query(statement, [id]), (error: Error & { code?: string }) => {
      assert.equal(error.code, code)
      assert.match(error.message, words)
      return true
    })
  }

  test('webhook_replay returns the endpoint, and refuses what it cannot replay', async () => {
    const id = await putEvent(
      api.database,
      await putTicket(api.database, { url: 'http://127.0.0.1:9/t/sql?x' }),
    )
    const [row] = await api.database.query('select webhook_replay(event_id => $1) as endpoint', [id])
    assert.equal(row!['endpoint'], (await eventOf(api.database, id))['endpoint_id'])
    await fails('select webhook_replay($1)', id, 'WH409', /is owed/)
    await fails('select webhook_replay($1)', unknown, 'WH404', /no event/)
    const without = await putEvent(api.database, { ticket_id: 'none' })
    await fails('select webhook_replay($1)', without, 'WH409', /no webhook_url/)
  })

  test('webhook_discard takes a reason, and refuses what it cannot give up', async () => {
    const id = await putEvent(api.database, { outcome: null })
    await api.database.query('select webhook_discard($1, $2)', [id, 'by hand'])
    assert.equal((await eventOf(api.database, id)).last_error, 'discarded by an operator: by hand')
    await fails('select webhook_discard($1)', id, 'WH409', /settled/)
    await fails('select webhook_discard($1)', unknown, 'WH404', /no event/)
  })
})
