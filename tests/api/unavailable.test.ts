import assert from 'node:assert/strict'
import { type AddressInfo, createServer } from 'node:net'
import { describe, test, type TestContext } from 'node:test'
import { createApp } from '../../src/api/app.ts'
import type { AppOptions } from '../../src/api/context.ts'
import { connect, createPool, kyselyOver } from '../../src/database/connection.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase } from '../support/database.ts'
import { callerOf, createTestApi, noSender, testConfig } from './support.ts'

function callerOn(db: AppOptions['db'], options: Partial<AppOptions> = {}) {
  return callerOf(
    createApp({
      ...{ db, config: testConfig, sender: noSender, version: '0' },
      health: () => Promise.resolve({ status: 'ok', checks: {} }),
      ...options,
    }),
  )
}

const requests: [string, string, unknown?][] = [
  ['GET', '/api/v1/projects'],
  ['GET', '/api/v1/tasks/x'],
  ['POST', '/api/v1/projects', { name: 'x' }],
  ['PATCH', '/api/v1/tasks/x', { status: 'completed' }],
  ['POST', '/api/v1/agents/x/heartbeat'],
  ['POST', '/api/v1/agents/x/stuck', { reason: 'x' }],
  ['GET', '/api/v1/deliveries'],
  ...[
    ...['GET /deliveries/ID', 'POST /deliveries/ID/replay', 'POST /deliveries/ID/discard'],
    ...['GET /endpoints', 'GET /endpoints/ID', 'POST /endpoints/ID/pause', 'POST /endpoints/ID/resume'],
    ...['POST /endpoints/ID/test', 'GET /operations', 'GET /operations/ID', 'POST /operations/ID/cancel'],
    'GET /audit',
  ].map((request): [string, string] => {
    const [method, path] = request.split(' ') as [string, string]
    return [method, `/api/v1${path.replace('ID', '00000000-0000-4000-8000-000000000000')}`]
  }),
  ['PATCH', '/api/v1/endpoints/00000000-0000-4000-8000-000000000000', { max_in_flight: 1 }],
  ['POST', '/api/v1/replays', {}],
  ['POST', '/api/v1/discards', { all: true, dry_run: false }],
]

async function assertUnavailable(call: ReturnType<typeof callerOf>): Promise<void> {
  for (const [method, path, body] of requests) {
    const answer = await call(method, path, body)
    assert.equal(answer.status, 503, `${method} ${path}: ${answer.text}`)
    assert.equal(answer.headers.get('content-type'), 'application/problem+json')
    assert.match(answer.headers.get('retry-after')!, /^\d+$/)
  }
}

describe('Postgres away', () => {
  test('nothing listens: 503 with Retry-After, and livez still answers', async (t) => {
    const db = connect('postgres://user:canary@127.0.0.1:1/none', { connectionTimeoutMs: 500 })
    onCleanup(t, () => db.destroy())
    const call = callerOn(db)
    await assertUnavailable(call)
    assert.equal((await call('GET', '/livez')).status, 200)
  })

  test('a port that accepts and never answers: 503', async (t) => {
    const server = createServer((socket) => void socket.resume()).listen(0, '127.0.0.1')
    onCleanup(t, () => new Promise((resolve) => server.close(resolve)))
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    const db = connect(`postgres://u:p@127.0.0.1:${port}/none`, { connectionTimeoutMs: 100 })
    onCleanup(t, () => db.destroy())
    await assertUnavailable(callerOn(db))
  })

  test('no connection of the pool is free: 503', async (t) => {
    const database = await createTestDatabase()
    onCleanup(t, () => database.drop())
    // The bound holds for opening the first connection too, which may take long on a busy machine.
    const pool = createPool(database.url, { maxConnections: 1, connectionTimeoutMs: 2_000 })
    onCleanup(t, () => pool.end())
    const client = await pool.connect()
    await assertUnavailable(callerOn(kyselyOver(pool)))
    client.release()
  })

  test('the pool has ended: 503', async (t) => {
    const database = await createTestDatabase()
    onCleanup(t, () => database.drop())
    const pool = createPool(database.url)
    await pool.end()
    await assertUnavailable(callerOn(kyselyOver(pool)))
  })

  test('connections that are terminated under it: 503 or an answer, and then answers again', async (t) => {
    const api = await createTestApi(t)
    const slow = api.database.query(`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`)
    const answers = await Promise.all(Array.from({ length: 20 }, () => api.call('GET', '/api/v1/tasks')))
    await slow
    for (const answer of answers) assert.ok([200, 503].includes(answer.status), answer.text)
    assert.equal((await api.call('POST', '/api/v1/projects', { name: 'x' })).status, 201)
  })

  test('not migrated: 503 says to run migrate', async (t) => {
    const database = await createTestDatabase({ migrated: false })
    onCleanup(t, () => database.drop())
    const call = callerOn(kyselyOver(database.pool))
    await assertUnavailable(call)
    assert.match((await call('GET', '/api/v1/deliveries')).body.detail, /run migrate/)
  })

  test('a row that stays locked past the statement timeout: 503', async (t) => {
    const api = await createTestApi(t)
    await api.call('POST', '/api/v1/projects', { id: 'p', name: 'x' })
    const db = connect(`${api.database.url}?options=-c%20statement_timeout%3D100`)
    onCleanup(t, () => db.destroy())
    const client = await api.database.pool.connect()
    await client.query('begin')
    await client.query(`update projects set name = 'y'`)
    assert.equal((await callerOn(db)('PATCH', '/api/v1/projects/p', { name: 'z' })).status, 503)
    await client.query('rollback')
    client.release()
  })

  test('a query that gets no answer within the timeout of the pool: 503', async (t) => {
    const api = await createTestApi(t)
    const db = connect(api.database.url, { queryTimeoutMs: 100 })
    onCleanup(t, () => db.destroy())
    const client = await api.database.pool.connect()
    await client.query('begin; lock table projects')
    assert.equal((await callerOn(db)('GET', '/api/v1/projects')).status, 503)
    await client.query('rollback')
    client.release()
  })
})

describe('a change that loses against another transaction', () => {
  // A sequence is not rolled back: it counts the tries.
  const losing = async (t: TestContext, times: number) => {
    const api = await createTestApi(t)
    await api.call('POST', '/api/v1/tickets', { id: 't', title: 'x' })
    for (const statement of [
      `create sequence tries`,
      `create function lose() returns trigger language plpgsql as $$ begin
         if nextval('tries') <= ${times} then raise exception 'lost' using errcode = '40P01'; end if;
         return new; end $$`,
      `create trigger lose before update on tickets for each row execute function lose()`,
    ]) {
      await api.database.query(statement)
    }
    return api.call('PATCH', '/api/v1/tickets/t', { title: 'y' })
  }

  test('is tried once more', async (t) => {
    const answer = await losing(t, 1)
    assert.equal(answer.status, 200)
    assert.equal(answer.body.title, 'y')
  })

  test('is 503 when it loses again', async (t) => {
    const answer = await losing(t, 2)
    assert.equal(answer.status, 503)
    assert.notEqual(answer.headers.get('retry-after'), null)
  })
})

describe('failures', () => {
  test('readyz is 503 with the checks where one fails, or where the check itself does', async (t) => {
    const api = await createTestApi(t)
    const failing = {
      status: 'failing',
      checks: { database: { status: 'failing', detail: 'away' } },
    } as const
    const call = callerOn(kyselyOver(api.database.pool), { health: () => Promise.resolve(failing) })
    const answer = await call('GET', '/readyz')
    assert.equal(answer.status, 503)
    assert.deepEqual(answer.body, failing)
    assert.equal(answer.headers.get('cache-control'), 'no-store')
    const broken = callerOn(kyselyOver(api.database.pool), {
      health: () => Promise.reject(new Error('canary')),
    })
    const rejected = await broken('GET', '/readyz')
    assert.equal(rejected.status, 503)
    assert.doesNotMatch(rejected.text, /canary/)
  })

  test('what nobody foresaw is a 500 that says nothing of itself, and is logged', async () => {
    const logged: object[] = []
    const db = {
      getExecutor: () => {
        throw new Error('canary')
      },
    } as never
    const log = { warn: () => undefined, error: (fields: object) => void logged.push(fields) }
    const answer = await callerOn(db, { log })('GET', '/api/v1/projects')
    assert.equal(answer.status, 500)
    assert.equal(answer.headers.get('content-type'), 'application/problem+json')
    assert.doesNotMatch(answer.text, /canary/)
    assert.match(JSON.stringify(logged), /canary/)
  })

  test('the secret of a URL is in no problem and in no log line where the database refuses it', async (t) => {
    const api = await createTestApi(t)
    const secret = 'https://example.com/canary?canary'
    for (const statement of [
      `alter table projects add constraint short check (length(webhook_url) < 5)`,
      `create unique index on tickets (webhook_url)`,
    ]) {
      await api.database.query(statement)
    }
    const answers = [
      await api.call('POST', '/api/v1/projects', { name: 'x', webhook_url: secret }),
      await api.call('POST', '/api/v1/tickets', { title: 'x', webhook_url: secret }),
      await api.call('POST', '/api/v1/tickets', { title: 'x', webhook_url: secret }),
    ]
    assert.deepEqual(
      answers.map((answer) => answer.status),
      [422, 201, 422],
    )
    assert.doesNotMatch(answers[0]!.text + answers[2]!.text + JSON.stringify(api.logged), /canary/)
  })
})
