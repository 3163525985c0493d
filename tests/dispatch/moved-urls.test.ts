import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, beforeEach, test } from 'node:test'
import type pg from 'pg'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import {
  claimDue,
  clear,
  dispatcher,
  endpoint,
  failed,
  open,
  receiver,
  settleAll,
} from '../support/endpoints.ts'
import { complete, eventsOf } from '../support/tasks.ts'

const role = `outbox_test_mover_${randomBytes(4).toString('hex')}`
let db: TestDatabase

before(async () => {
  db = await createTestDatabase()
  await db.query(`
    create role ${role};
    grant select, insert, update on projects, tickets, tasks to ${role}`)
})
after(async () => {
  await db.query(`drop owned by ${role} cascade; drop role ${role}`)
  await db.drop()
})
beforeEach(() => clear(db))

let made = 0

/** A project with a ticket of one completed task, whose event is owed. */
async function owed(project: string | null, ticket: string | null): Promise<{ id: string; task: string }> {
  const id = `moved-${++made}`
  await db.query('insert into projects (id, name, webhook_url) values ($1, $1, $2)', [id, project])
  await db.query('insert into tickets (id, title, project_id, webhook_url) values ($1, $1, $1, $2)', [
    id,
    ticket,
  ])
  await db.query(`insert into tasks (id, title, ticket_id, status) values ($1, $1, $1, 'running')`, [id])
  await complete(db, [id])
  return { id, task: id }
}

/** By a role that holds no grant on this service's tables, in a transaction. */
async function asHost(use: (session: pg.PoolClient) => Promise<unknown>, end = 'commit'): Promise<void> {
  const session = await db.pool.connect()
  try {
    await session.query(`begin; set local role ${role}`)
    await use(session)
    await session.query(end)
  } finally {
    session.release(true)
  }
}

const change = (table: 'projects' | 'tickets', id: string, url: string | null) =>
  asHost((session) => session.query(`update ${table} set webhook_url = $2 where id = $1`, [id, url]))

async function eventOf(task: string): Promise<Record<string, unknown>> {
  const rows = await db.query(
    `select url, state, attempts, last_error, endpoint_id = md5(split_part(split_part(url, '#', 1), '?', 1))::uuid as fits
     from webhook_events where task_id = $1`,
    [task],
  )
  assert.equal(rows.length, 1, 'it is in one place')
  return rows[0]!
}

const [P, P2, T, T2] = ['http://project/', 'http://project/2?a=b', 'http://ticket/', 'http://ticket/2']

for (const [project, ticket, table, to, applies] of [
  [P, null, 'tickets', T, T],
  [P, T, 'tickets', T2, T2],
  [P, T, 'tickets', null, P],
  [P, T, 'tickets', '', P],
  [null, T, 'tickets', T2, T2],
  [null, T, 'tickets', null, null],
  [null, T, 'tickets', '', null],
  ['', T, 'tickets', null, null],
  [P, null, 'projects', P2, P2],
  [P, '', 'projects', P2, P2],
  [P, null, 'projects', null, null],
  [P, null, 'projects', '', null],
  [P, T, 'projects', P2, T],
  [P, T, 'projects', null, T],
  [null, T, 'projects', P, T],
  [P, null, 'projects', 'no URL', 'no URL'],
] as const) {
  const name = (url: string | null) => (url === null ? 'null' : `"${url}"`)
  test(`project ${name(project)} and ticket ${name(ticket)}: ${table} to ${name(to)} → ${applies ?? 'discarded'}`, async () => {
    const { id, task } = await owed(project, ticket)
    const before = await db.query('select payload::text, event_id, created_at from webhook_outbox')
    await change(table, id, to)
    const sentTo = ticket === '' ? project : (ticket ?? project)
    assert.deepEqual(
      await eventOf(task),
      applies === null
        ? { url: sentTo, state: 'discarded', attempts: 0, last_error: 'url_removed', fits: true }
        : { url: applies, state: 'pending', attempts: 0, last_error: null, fits: true },
    )
    assert.deepEqual(await db.query('select payload::text, event_id, created_at from webhook_events'), before)
  })
}

for (const table of ['projects', 'tickets'] as const)
  test(`what is in flight is left to its attempt where the URL of ${table} changes`, async () => {
    const { id, task } = table === 'projects' ? await owed(P, null) : await owed(null, T)
    const [claimed] = await claimDue(db)
    await change(table, id, P2)
    await change(table, id, null)
    assert.deepEqual(await eventOf(task), {
      url: table === 'projects' ? P : T,
      state: 'delivering',
      attempts: 1,
      last_error: null,
      fits: true,
    })
    assert.equal((await settleAll(db, [failed(claimed!)])).changed.size, 1)
  })

test('what waits for a retry moves with its attempts', async () => {
  const { id, task } = await owed(P, null)
  await settleAll(db, [failed((await claimDue(db))[0]!)])
  await change('projects', id, P2)
  assert.deepEqual(await eventOf(task), {
    url: P2,
    state: 'pending',
    attempts: 1,
    last_error: '503 Service Unavailable',
    fits: true,
  })
})

test('what a rollback takes back is as it was', async () => {
  const { id } = await owed(P, null)
  const before = await db.query('select * from webhook_outbox')
  for (const url of [P2, null]) {
    await asHost(
      (session) => session.query('update projects set webhook_url = $2 where id = $1', [id, url]),
      'rollback',
    )
  }
  assert.deepEqual(await db.query('select * from webhook_outbox'), before)
  assert.deepEqual(await db.query('select from webhook_history'), [])
})

test('what others are owed, and what is settled, is not touched', async () => {
  const other = await owed(P, null)
  const { id } = await owed(P, null)
  await change('projects', id, P2)
  assert.equal((await eventOf(other.task)).url, P)
})

test('a change of anything but the URL writes nothing', async () => {
  const { id } = await owed(P, T)
  const before = await db.query('select *, xmin from webhook_outbox')
  await asHost((session) =>
    session.query(`update tickets set status = 'x', webhook_url = webhook_url where id = $1`, [id]),
  )
  assert.deepEqual(await db.query('select *, xmin from webhook_outbox'), before)
})

test('the functions that move are for the triggers only', async () => {
  for (const call of [
    'select webhook_move_tickets(null)',
    'select webhook_move_projects(null)',
    'select webhook_url_of_tickets()',
  ]) {
    await assert.rejects(
      asHost((session) => session.query(call)),
      { code: '42501' },
    )
  }
})

test('changes of a project and of its tickets at once do not wait for each other in a circle', async () => {
  const id = `moved-${++made}`
  await db.query('insert into projects (id, name, webhook_url) values ($1, $1, $2)', [id, P])
  await db.query(
    `insert into tickets (id, title, project_id) select $1 || n, $1, $1 from generate_series(1, 20) n`,
    [id],
  )
  const tasks = await db.query<{ id: string }>(
    `insert into tasks (id, title, ticket_id, status)
     select $1 || t || '/' || n, $1, $1 || t, 'running' from generate_series(1, 20) n, generate_series(1, 20) t returning id`,
    [id],
  )
  await complete(
    db,
    tasks.map((task) => task.id),
  )
  const changes = Array.from({ length: 20 }, (_, n) =>
    n % 2 === 0
      ? change('projects', id, `http://project/${n}`)
      : asHost((session) =>
          session.query(`update tickets set webhook_url = 'http://ticket/' || $2 where id = $1`, [
            `${id}${n}`,
            n,
          ]),
        ),
  )
  await Promise.all(changes)
  assert.equal((await db.query('select from webhook_outbox')).length, 400)
})

test('what waits at a dead endpoint is delivered at once where the URL now applies', async (t) => {
  const hooks = await receiver(t)
  const dead = 'http://127.0.0.1:9/dead'
  await endpoint(db, dead, { ...open, probe_at: `now() + interval '1 hour'` })
  const { id, task } = await owed(dead, null)
  const it = dispatcher(t, db, { pollIntervalMs: 3_600_000 })
  onCleanup(t, () => it.stop())
  it.dispatcher.start()
  await change('projects', id, hooks.url())
  await hooks.waitFor(1)
  await it.stop()
  assert.equal((await eventsOf(db, [task]))[0]?.state, 'delivered')
})
