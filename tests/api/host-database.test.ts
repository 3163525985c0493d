import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { createApp } from '../../src/api/app.ts'
import { connect } from '../../src/database/connection.ts'
import { onCleanup } from '../support/cleanup.ts'
import { type Answer, callerOf, createTestApi, noSender, pointers, testConfig } from './support.ts'

/** An API on tables that their host has made stricter. */
async function hosted(t: TestContext, ...statements: string[]) {
  const api = await createTestApi(t)
  for (const statement of statements) await api.database.query(statement)
  return api
}

function assertRefused(answer: Answer, pointer: string, detail: RegExp): void {
  assert.equal(answer.status, 422, answer.text)
  assert.equal(answer.headers.get('content-type'), 'application/problem+json')
  assert.deepEqual(pointers(answer), [pointer])
  assert.match(answer.body.errors[0]!.detail, detail)
  assert.doesNotMatch(answer.text, /insert into|update "|select |values \(/i)
}

test('a reference to nothing is refused at its property, on create and on patch, and nothing is stored', async (t) => {
  const api = await hosted(t)
  await api.call('POST', '/api/v1/tasks', { id: 'k', title: 'x' })
  await api.call('POST', '/api/v1/tickets', { id: 't', title: 'x' })
  const both = { ticket_id: 'nope', assigned_agent_id: 'nope' }
  for (const [method, path, body, expected] of [
    ['POST', 'tickets', { title: 'x', project_id: 'nope' }, ['#/project_id']],
    ['PATCH', 'tickets/t', { title: 'changed', project_id: 'nope' }, ['#/project_id']],
    ['POST', 'tasks', { title: 'x', ...both }, ['#/assigned_agent_id', '#/ticket_id']],
    ['PATCH', 'tasks/k', { title: 'changed', ...both }, ['#/assigned_agent_id', '#/ticket_id']],
  ] as const) {
    const answer = await api.call(method, `/api/v1/${path}`, body)
    assert.equal(answer.status, 422)
    assert.deepEqual(pointers(answer), expected)
  }
  const rows = await api.database.query('select title from tasks union all select title from tickets')
  assert.deepEqual(rows, [{ title: 'x' }, { title: 'x' }])
})

test('what is referred to cannot be deleted before the row that refers to it is stored', async (t) => {
  const api = await hosted(t)
  await api.call('POST', '/api/v1/projects', { id: 'p', name: 'x' })
  const client = await api.database.pool.connect()
  await client.query('begin')
  await client.query(`delete from projects where id = 'p'`)
  const creating = api.call('POST', '/api/v1/tickets', { title: 'x', project_id: 'p' })
  await client.query('commit')
  client.release()
  assertRefused(await creating, '#/project_id', /existing project/)
})

test('a foreign key of the host is met by the same check, and by itself where it knows more', async (t) => {
  const api = await hosted(
    t,
    `alter table tickets add foreign key (project_id) references projects (id)`,
    `create table states (name text primary key)`,
    `insert into states values ('open')`,
    `alter table tickets add constraint known_state foreign key (status) references states (name)`,
  )
  const missing = await api.call('POST', '/api/v1/tickets', { title: 'x', project_id: 'nope' })
  assertRefused(missing, '#/project_id', /existing project/)
  const state = await api.call('POST', '/api/v1/tickets', { title: 'x', status: 'odd' })
  assertRefused(state, '#/status', /does not exist.*known_state/)
  assert.equal((await api.call('POST', '/api/v1/tickets', { title: 'x' })).status, 201)
})

test('a deferred constraint is reported too', async (t) => {
  const api = await hosted(
    t,
    `create table states (name text primary key)`,
    `alter table tasks add constraint late foreign key (status) references states deferrable initially deferred`,
  )
  assertRefused(await api.call('POST', '/api/v1/tasks', { title: 'x', status: 'odd' }), '#/status', /late/)
})

test('a check is named, and nothing changes', async (t) => {
  const api = await hosted(t, `alter table tasks add constraint short_titles check (length(title) < 5)`)
  assertRefused(await api.call('POST', '/api/v1/tasks', { title: 'too long' }), '#', /short_titles/)
  await api.call('POST', '/api/v1/tasks', { id: 'k', title: 'x' })
  assertRefused(await api.call('PATCH', '/api/v1/tasks/k', { title: 'too long' }), '#', /short_titles/)
  assert.equal((await api.call('GET', '/api/v1/tasks/k')).body.title, 'x')
})

const hostSchema = `
  create type task_status as enum ('pending', 'assigned', 'running', 'completed', 'failed');
  create table projects (id varchar(40) primary key, name varchar(10) not null, created_at timestamp not null,
    updated_at timestamp(0) not null);
  create table tickets (id varchar(40) primary key, project_id varchar(40) not null references projects, title text);
  create table agents (id char(6) primary key, status text);
  create table tasks (id varchar(40) primary key, ticket_id varchar(40) references tickets, title text,
    status task_status not null default 'pending', assigned_agent_id char(6) references agents, retry_count bigint not null default 0,
    max_retries smallint, started_at timestamp, completed_at timestamp, created_at timestamp)`

test('tables that a host has made before, with an enum, other lengths and times without a zone, are served', async (t) => {
  const api = await createTestApi(t, {}, hostSchema)
  const url = 'https://example.com/hook'
  const project = await api.call('POST', '/api/v1/projects', { id: 'p', name: 'x', webhook_url: url })
  assert.equal(project.status, 201, project.text)
  assert.ok(Math.abs(Date.parse(project.body.created_at) - Date.now()) < 60_000)
  await api.call('POST', '/api/v1/tickets', { id: 't', title: 'x', project_id: 'p' })
  await api.call('POST', '/api/v1/agents', { id: 'agent1' })
  const task = {
    id: 'k',
    title: 'x',
    ticket_id: 't',
    assigned_agent_id: 'agent1',
    retry_count: 2,
    status: 'assigned',
  }
  const created = await api.call('POST', '/api/v1/tasks', task)
  assert.equal(created.status, 201, created.text)
  assert.equal(created.body.retry_count, 2)
  assert.equal((await api.call('POST', '/api/v1/agents/agent1/heartbeat')).status, 204)
  assert.equal((await api.call('POST', '/api/v1/agents/agent1/stuck', { reason: 'loop' })).status, 201)
  assert.equal((await api.call('GET', '/api/v1/agents/agent1')).body.stuck.reason, 'loop')
  await api.call('PATCH', '/api/v1/tasks/k', { status: 'running' })
  const done = await api.call('PATCH', '/api/v1/tasks/k', { status: 'completed' })
  assert.equal(done.body.status, 'completed')
  assert.ok(Math.abs(Date.parse(done.body.started_at) - Date.now()) < 60_000)
  assert.equal((await api.call('GET', '/api/v1/deliveries')).body.items.length, 2)

  assertRefused(await api.call('PATCH', '/api/v1/tasks/k', { status: 'odd' }), '#/status', /type/)
  assertRefused(await api.call('PATCH', '/api/v1/tasks/k', { max_retries: 40_000 }), '#', /range/)
  assertRefused(await api.call('POST', '/api/v1/projects', { name: 'x'.repeat(11) }), '#', /longer/)
  assertRefused(
    await api.call('POST', '/api/v1/tickets', { title: 'x' }),
    '#/project_id',
    /must have a value/,
  )
  assert.equal((await api.call('GET', '/api/v1/tasks?status=completed')).body.items.length, 1)
  assert.equal((await api.call('GET', '/api/v1/tasks?status=odd')).body.items.length, 0)
})

test('what is too long for an index of the host is refused', async (t) => {
  const api = await hosted(t, `create index on tasks (title, error_message)`)
  const random = Array.from({ length: 9_000 }, () => Math.random().toString(36)[2] ?? 'x').join('')
  assertRefused(
    await api.call('POST', '/api/v1/tasks', { title: 'x', error_message: random }),
    '#',
    /refused/,
  )
})

test('NOT NULL is pointed to, and named where this API does not know the column', async (t) => {
  const api = await hosted(
    t,
    `alter table tasks alter column ticket_id set not null`,
    `alter table projects add column owner text not null`,
  )
  assertRefused(await api.call('POST', '/api/v1/tasks', { title: 'x' }), '#/ticket_id', /must have a value/)
  assertRefused(await api.call('POST', '/api/v1/projects', { name: 'x' }), '#', /owner/)
})

test('NOT NULL times without a default, as frameworks make them, are filled in', async (t) => {
  const api = await hosted(
    t,
    `alter table projects alter column created_at drop default, alter column updated_at drop default`,
    `alter table projects alter column created_at type timestamp, alter column updated_at type timestamp(0)`,
  )
  const { status, body } = await api.call('POST', '/api/v1/projects', { name: 'x' })
  assert.equal(status, 201)
  assert.ok(Math.abs(Date.parse(body.created_at) - Date.now()) < 60_000)
})

test('a unique constraint other than the primary key is 422, the primary key 409', async (t) => {
  const api = await hosted(t, `alter table projects add constraint one_name unique (name)`)
  await api.call('POST', '/api/v1/projects', { id: 'p', name: 'x' })
  assertRefused(await api.call('POST', '/api/v1/projects', { name: 'x' }), '#/name', /unique.*one_name/)
  assert.equal((await api.call('POST', '/api/v1/projects', { id: 'p', name: 'y' })).status, 409)
})

test('a duplicate id is 409 where the host has no unique constraint on it', async (t) => {
  const api = await hosted(t, `alter table agents drop constraint agents_pkey`)
  await api.call('POST', '/api/v1/agents', { id: 'a' })
  assert.equal((await api.call('POST', '/api/v1/agents', { id: 'a' })).status, 409)
})

test('a trigger of the host refuses with its own words, whatever code it raises', async (t) => {
  const api = await hosted(
    t,
    `create function no() returns trigger language plpgsql as $$ begin
       if new.title = 'null' then return null; end if;
       if new.title = 'code' then raise exception 'not like that' using errcode = 'HT001'; end if;
       raise exception 'titles are frozen'; end $$`,
    `create trigger no before insert or update on tasks for each row execute function no()`,
  )
  assertRefused(await api.call('POST', '/api/v1/tasks', { title: 'x' }), '#', /titles are frozen/)
  assertRefused(await api.call('POST', '/api/v1/tasks', { title: 'code' }), '#', /not like that/)
  assertRefused(await api.call('POST', '/api/v1/tasks', { title: 'null' }), '#', /trigger/)
})

test('a default that the host has for its ids is used, and a UUID where there is none', async (t) => {
  const api = await hosted(
    t,
    `create sequence project_ids`,
    `alter table projects alter column id set default 'PRJ-' || nextval('project_ids')`,
    `alter table tickets alter column id drop default`,
  )
  assert.equal((await api.call('POST', '/api/v1/projects', { name: 'x' })).body.id, 'PRJ-1')
  assert.match((await api.call('POST', '/api/v1/tickets', { title: 'x' })).body.id, /^[\da-f-]{36}$/)
})

test('infinite times, and times that ISO 8601 has no form for, are unknown', async (t) => {
  const api = await hosted(
    t,
    `insert into agents (id, last_heartbeat, created_at, updated_at) values ('a', 'infinity', '-infinity', '20000-01-01'),
       ('b', '0044-03-15 BC', '9999-12-31 23:59:59.999999Z', now())`,
  )
  const { body } = await api.call('GET', '/api/v1/agents/a')
  assert.deepEqual([body.last_heartbeat, body.created_at, body.updated_at], [null, null, null])
  const other = (await api.call('GET', '/api/v1/agents/b')).body
  assert.deepEqual([other.last_heartbeat, other.created_at], [null, '9999-12-31T23:59:59.999Z'])
})

test('a result that SQL has stored is shown whatever its depth and numbers', async (t) => {
  const api = await hosted(t)
  await api.database.query(
    `insert into tasks (id, title, result) values ('deep', 'x', $1), ('big', 'x', '[1e400]')`,
    [`${'['.repeat(4_000)}${']'.repeat(4_000)}`],
  )
  assert.equal((await api.call('GET', '/api/v1/tasks/deep')).status, 200)
  assert.match((await api.call('GET', '/api/v1/tasks/big')).text, /"result":\[10{400}\]/)
  assert.equal((await api.call('GET', '/api/v1/tasks')).status, 200)
})

test("a policy of the host's row-level security is 422, a missing grant 503", async (t) => {
  const api = await hosted(
    t,
    `create role api_rls_test nologin`,
    `grant select, insert, update on projects to api_rls_test`,
    `alter table projects enable row level security`,
    `create policy named on projects using (true) with check (name <> 'refused')`,
  )
  onCleanup(t, async () => {
    await api.database.query('drop owned by api_rls_test')
    await api.database.query('drop role api_rls_test')
  })
  const db = connect(`${api.database.url}?options=-c%20role%3Dapi_rls_test`, { maxConnections: 1 })
  onCleanup(t, () => db.destroy())
  const call = callerOf(
    createApp({
      ...{ db, config: testConfig, sender: noSender, version: '0' },
      health: () => Promise.resolve({ status: 'ok', checks: {} }),
    }),
  )
  assert.equal((await call('POST', '/api/v1/projects', { name: 'taken' })).status, 201)
  assertRefused(await call('POST', '/api/v1/projects', { name: 'refused' }), '#', /row-level security/)
  assert.equal((await call('GET', '/api/v1/tasks')).status, 503)
})
