import assert from 'node:assert/strict'
import { after, beforeEach, describe, test } from 'node:test'
import { kyselyOver } from '../../src/database/connection.ts'
import { runBatch } from '../../src/operations/run-batch.ts'
import { clear } from '../support/endpoints.ts'
import { eventOf, putEvent, putTicket } from '../support/events.ts'
import { type Body, createTestApi, pointers } from './support.ts'

const api = await createTestApi({ after })
const { database } = api
const db = kyselyOver(database.pool)
const base = '/api/v1'
const endpointUrl = 'http://127.0.0.1:9/bulk'

const ticketFilter = ({ ticket_id }: { ticket_id: string }) => ({ ticket_id })

beforeEach(async () => {
  await clear(database)
  await database.query('truncate webhook_operations, webhook_operation_batches, webhook_audit')
})

async function post(path: 'replays' | 'discards', body: unknown, status: number): Promise<Body> {
  const answer = await api.call('POST', `${base}/${path}`, body)
  assert.equal(answer.status, status, answer.text)
  return answer.body
}

const operation = async (id: unknown) => (await api.call('GET', `${base}/operations/${id as string}`)).body

/** Does all there is to do, whatever the pace. */
async function runAll(): Promise<void> {
  do await database.query('update webhook_operations set next_batch_at = now()')
  while ((await runBatch(db)) !== undefined)
}

async function states(): Promise<Record<string, number>> {
  const rows = await database.query<{ state: string; count: number }>(
    'select state, count(*)::integer from webhook_events group by 1',
  )
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]))
}

describe('a dry run', () => {
  test('is what a request without dry_run is: it counts by state, and changes nothing', async () => {
    const ticket = await putTicket(database, { url: endpointUrl })
    await putEvent(database, { outcome: 'dead', ...ticket })
    await putEvent(database, { outcome: 'dead' })
    await putEvent(database, { outcome: 'delivered', ...ticket })
    await putEvent(database, { outcome: null, ...ticket })
    await putEvent(database, { outcome: null, state: 'delivering', lease_until: '2100-01-01' })
    const before = await states()
    assert.deepEqual(await post('replays', {}, 200), {
      matched: 3,
      dry_run: true,
      states: { dead: 2, delivered: 1 },
      would_skip: { no_url: 1 },
    })
    assert.deepEqual(
      await post('replays', { state: 'delivered', dry_run: true, ...ticketFilter(ticket) }, 200),
      {
        matched: 1,
        dry_run: true,
        states: { delivered: 1 },
        would_skip: {},
      },
    )
    assert.deepEqual(await post('discards', {}, 200), {
      matched: 2,
      dry_run: true,
      states: { delivering: 1, pending: 1 },
      would_skip: { in_flight: 1 },
    })
    assert.deepEqual(await states(), before)
    assert.deepEqual(await database.query('select from webhook_operations'), [])
    assert.deepEqual(await database.query('select from webhook_audit'), [])
  })

  test('counts what the list of deliveries shows, by every filter', async () => {
    const ticket = await putTicket(database, { url: endpointUrl, projectUrl: null })
    for (const columns of [
      { ...ticket, task_id: 'k1', last_error: '503 Service Unavailable' },
      { ...ticket, task_id: 'k2', event_type: 'task.failed', created_at: '2026-02-01T00:00:00Z' },
      { url: `${endpointUrl}/other`, created_at: '2026-03-01T00:00:00Z' },
    ]) {
      await putEvent(database, columns)
    }
    const other = (await api.call('GET', `${base}/deliveries?limit=1`)).body.items[0]!
    for (const filter of [
      { state: 'dead' },
      { event_type: 'task.failed' },
      { project_id: ticket.project_id! },
      { ticket_id: ticket.ticket_id },
      { task_id: 'k1' },
      { endpoint_id: other['endpoint_id'] as string },
      { error: '503 service' },
      { from: '2026-02-01' },
      { to: '2026-02-01T00:00:00Z', ticket_id: ticket.ticket_id },
    ]) {
      const listed = await api.call(
        'GET',
        `${base}/deliveries?${new URLSearchParams(filter as never).toString()}`,
      )
      const { matched } = await post('replays', filter, 200)
      assert.equal(matched, listed.body.items.length, JSON.stringify(filter))
      assert.notEqual(matched, 0, JSON.stringify(filter))
    }
  })
})

describe('a bulk replay', () => {
  test('replays what the filter selected, says what it skipped and why, and is on record', async () => {
    const ticket = await putTicket(database, { url: endpointUrl })
    const ids = await Promise.all([1, 2, 3].map(() => putEvent(database, ticket)))
    const noUrl = await putEvent(database)
    const delivered = await putEvent(database, { ...ticket, outcome: 'delivered' })
    const body = await post('replays', { state: 'dead', dry_run: false, rate: 4 }, 202)
    assert.deepEqual([body['matched'], body['dry_run']], [4, false])
    const queued = body['operation'] as Body
    assert.deepEqual(
      [queued['kind'], queued['state'], queued['filter'], queued['requested_by'], queued['rate']],
      ['replay', 'queued', { state: 'dead' }, 'anonymous', 4],
    )
    await runAll()
    for (const id of ids) assert.equal((await eventOf(database, id)).state, 'pending')
    assert.equal((await eventOf(database, noUrl)).state, 'dead')
    assert.equal((await eventOf(database, delivered)).state, 'delivered')
    const done = await operation(queued.id)
    assert.deepEqual(
      [done['state'], done['matched'], done['done'], done['skipped'], done['skipped_reasons']],
      ['done', 4, 3, 1, { no_url: 1 }],
    )
    assert.ok(Date.parse(String(done['finished_at'])) >= Date.parse(done.started_at))
  })

  test('leaves alone what came, was replayed or settled anew after the request', async () => {
    const ticket = await putTicket(database, { url: endpointUrl })
    const [owed, settled, gone, left] = await Promise.all([1, 2, 3, 4].map(() => putEvent(database, ticket)))
    const { operation: queued } = await post('replays', { state: 'dead', dry_run: false }, 202)
    const late = await putEvent(database, ticket)
    for (const id of [owed, settled]) {
      assert.equal((await api.call('POST', `${base}/deliveries/${id!}/replay`)).status, 202)
    }
    await database.query('select webhook_discard($1)', [settled])
    await database.query('delete from webhook_history where event_id = $1', [gone])
    await runAll()
    const done = await operation((queued as Body).id)
    assert.deepEqual(
      [done['done'], done['skipped'], done['skipped_reasons']],
      [1, 3, { gone: 1, owed: 1, settled_since: 1 }],
    )
    assert.equal((await eventOf(database, late)).state, 'dead')
    assert.equal((await eventOf(database, settled!)).state, 'discarded')
    assert.equal((await eventOf(database, left!)).state, 'pending')
  })

  test('of nothing is done at once', async () => {
    const body = await post('replays', { task_id: 'none', dry_run: false }, 202)
    assert.deepEqual([body['matched'], (body['operation'] as Body)['state']], [0, 'done'])
    assert.equal(await runBatch(db), undefined)
  })
})

describe('a bulk discard', () => {
  test('gives up what is owed, with its reason, and not what is in flight, settled or replayed since', async () => {
    const ticket = await putTicket(database, { url: endpointUrl })
    const [pending, flying, settled, again] = await Promise.all(
      [{}, { state: 'delivering', lease_until: '2100-01-01', attempts: 1 }, {}, {}].map((columns) =>
        putEvent(database, { outcome: null, ...ticket, ...columns }),
      ),
    )
    const dead = await putEvent(database, ticket)
    const body = await post('discards', { ...ticketFilter(ticket), dry_run: false, reason: 'test data' }, 202)
    assert.equal(body['matched'], 4)
    await database.query('select webhook_discard($1)', [settled])
    await database.query('select webhook_discard($1)', [again])
    await database.query('select webhook_replay($1)', [again])
    const late = await putEvent(database, { outcome: null, ...ticket })
    await runAll()
    const done = await operation((body['operation'] as Body).id)
    assert.deepEqual(
      [done['state'], done['done'], done['skipped_reasons'], done['reason']],
      ['done', 1, { in_flight: 1, settled: 1, replayed_since: 1 }, 'test data'],
    )
    assert.equal((await eventOf(database, pending!)).last_error, 'discarded by an operator: test data')
    assert.equal((await eventOf(database, flying!)).state, 'delivering')
    for (const id of [again!, late]) assert.equal((await eventOf(database, id)).state, 'pending')
    assert.equal((await eventOf(database, dead)).state, 'dead')
  })
})

describe('a request', () => {
  test('that selects everything has to say so', async () => {
    for (const path of ['replays', 'discards'] as const) {
      for (const body of [{ dry_run: false }, { dry_run: false, rate: 5 }]) {
        const answer = await api.call('POST', `${base}/${path}`, body)
        assert.equal(answer.status, 422)
        assert.deepEqual(pointers(answer), ['#'])
      }
      await post(path, { dry_run: false, all: true }, 202)
    }
  })

  for (const [path, body, wrong] of [
    ['replays', { state: 'pending' }, '#/state'],
    ['replays', { state: 'delivering' }, '#/state'],
    ['discards', { state: 'dead' }, '#/state'],
    ['replays', { all: true, state: 'dead' }, '#/all'],
    ['replays', { all: false }, '#/all'],
    ['replays', { dry_run: 'false' }, '#/dry_run'],
    ['replays', { rate: 0 }, '#/rate'],
    ['replays', { rate: 10_001 }, '#/rate'],
    ['replays', { rate: 1.5 }, '#/rate'],
    ['replays', { reason: 'x' }, '#/reason'],
    ['discards', { reason: '' }, '#/reason'],
    ['discards', { endpoint_id: 'x' }, '#/endpoint_id'],
    ['discards', { endpoint_id: 4 }, '#/endpoint_id'],
    ['replays', { from: 'yesterday' }, '#/from'],
    ['replays', { to: 5 }, '#/to'],
    ['replays', { task_id: null }, '#/task_id'],
    ['replays', { error: 'x\0' }, '#/error'],
    ['replays', { limit: 5 }, '#/limit'],
    ['replays', { dryrun: false }, '#/dryrun'],
  ] as const) {
    test(`${path} of ${JSON.stringify(body)} is 422 at ${wrong}`, async () => {
      const answer = await api.call('POST', `${base}/${path}`, body)
      assert.equal(answer.status, 422, answer.text)
      assert.deepEqual(pointers(answer), [wrong])
    })
  }
})

describe('an operation', () => {
  const begin = async (count: number, rate: number) => {
    const ticket = await putTicket(database, { url: endpointUrl })
    for (let n = 0; n < count; n++)
      await putEvent(database, { ...ticket, created_at: `2026-01-01T00:00:0${n}Z` })
    return (await post('replays', { ...ticketFilter(ticket), dry_run: false, rate }, 202))[
      'operation'
    ] as Body
  }

  test('that is cancelled keeps what it did, and does no more', async () => {
    const { id } = await begin(3, 1)
    await runBatch(db)
    const answer = await api.call('POST', `${base}/operations/${id}/cancel`)
    assert.equal(answer.status, 200, answer.text)
    assert.deepEqual([answer.body['state'], answer.body['done']], ['cancelled', 1])
    assert.ok(answer.body['finished_at'])
    await runAll()
    assert.deepEqual(await states(), { dead: 2, pending: 1 })
    assert.deepEqual(await database.query('select from webhook_operation_batches'), [])
    const again = await api.call('POST', `${base}/operations/${id}/cancel`)
    assert.equal(again.status, 409)
    assert.match(again.body.detail, /cancelled/)
  })

  test('that is done, or not there, is not cancelled', async () => {
    const { id } = await begin(1, 1)
    await runAll()
    const answer = await api.call('POST', `${base}/operations/${id}/cancel`)
    assert.equal(answer.status, 409)
    assert.match(answer.body.detail, /it is done/)
    for (const unknown of ['00000000-0000-4000-8000-000000000000', 'x']) {
      assert.equal((await api.call('GET', `${base}/operations/${unknown}`)).status, 404)
      assert.equal((await api.call('POST', `${base}/operations/${unknown}/cancel`)).status, 404)
    }
  })

  test('is listed, newest first, by state and kind, page by page', async () => {
    const ids = []
    for (let n = 0; n < 3; n++) ids.unshift((await begin(1, 1)).id)
    await post('discards', { task_id: 'none', dry_run: false }, 202)
    const list = async (query: string) => {
      const answer = await api.call('GET', `${base}/operations?${query}`)
      assert.equal(answer.status, 200, answer.text)
      return answer.body
    }
    assert.deepEqual(
      (await list('kind=replay')).items.map((item) => item.id),
      ids,
    )
    assert.equal((await list('state=done')).items.length, 1)
    const first = await list('limit=2')
    const second = await list(`limit=2&cursor=${first.next_cursor}`)
    assert.equal(second.next_cursor, null)
    assert.equal(new Set([...first.items, ...second.items].map((item) => item.id)).size, 4)
    for (const query of ['state=x', 'kind=x', 'cursor=x', 'x=1']) {
      assert.equal((await api.call('GET', `${base}/operations?${query}`)).status, 422)
    }
  })
})
