import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { migrateToLatest } from '../../src/database/migrate.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import {
  captured,
  checkedBody,
  eventTypes,
  inSession,
  insert,
  onlyEvent,
  runningTask,
  setStatus,
  ticketUrl,
} from './host.ts'

/** Host tables that were there before, of any types that can serve. */
async function host(t: TestContext, ddl: string): Promise<TestDatabase> {
  const db = await createTestDatabase({ migrated: false })
  onCleanup(t, () => db.drop())
  await db.query(ddl)
  await migrateToLatest(db.url)
  return db
}

const caseBlind = `create collation case_blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);`
const statuses: [name: string, ddl: string][] = [
  ['varchar(20)', `create table tasks (id text primary key, status varchar(20))`],
  ['char(20)', `create table tasks (id text primary key, status char(20))`],
  [
    'an enum',
    `create type state as enum ('pending', 'running', 'failed', 'completed', 'other'); create table tasks (id text primary key, status state)`,
  ],
  [
    'a domain over a domain over varchar',
    `create domain word as varchar(30); create domain state as word check (value <> ''); create table tasks (id text primary key, status state)`,
  ],
  [
    'text that ignores case',
    `${caseBlind} create table tasks (id text primary key, status text collate case_blind)`,
  ],
  ['text of another collation', `create table tasks (id text primary key, status text collate "POSIX")`],
]

for (const [name, ddl] of statuses) {
  test(`a status of ${name} is captured`, async (t) => {
    const db = await host(t, ddl)
    const task = await runningTask(db)
    for (const status of ['completed', 'completed', 'failed', 'pending', 'completed']) {
      await setStatus(db, task, status)
    }
    assert.deepEqual(await eventTypes(db, task), ['task.completed', 'task.failed', 'task.completed'])
    assert.equal(checkedBody((await captured(db, task))[1]!.payload).event_type, 'task.failed')
  })
}

test('a status that is the same but for its case, to the host, is no status of an event', async (t) => {
  const db = await host(t, statuses[4]![1])
  const task = await runningTask(db)
  for (const status of ['Completed', 'COMPLETED', 'Failed', 'running']) await setStatus(db, task, status)
  assert.deepEqual(await eventTypes(db, task), [])
})

const ids: [name: string, ddl: string][] = [
  ['varchar(36)', `create domain key as varchar(36)`],
  ['char(64)', `create domain key as char(64)`],
  ['text of collation "C"', `create domain key as text collate "C"`],
  ['text that ignores case', `${caseBlind} create domain key as text collate case_blind`],
]

for (const [name, ddl] of ids) {
  test(`ids of ${name} are captured without padding`, async (t) => {
    const db = await host(
      t,
      `${ddl};
      create table projects (id key primary key, webhook_url varchar(500));
      create table tickets (id key primary key, project_id key, webhook_url text);
      create table tasks (id key primary key, ticket_id key, assigned_agent_id key, error_message char(300),
        retry_count smallint, max_retries bigint, status text);
      create table agents (id key primary key)`,
    )
    await insert(db, 'projects', { id: 'p', webhook_url: ticketUrl })
    await insert(db, 'tickets', { id: 'k', project_id: 'p', webhook_url: '' })
    await insert(db, 'agents', { id: 'a' })
    const row = {
      id: 't',
      ticket_id: 'k',
      assigned_agent_id: 'a',
      error_message: 'e',
      max_retries: 5_000_000_000,
    }
    await insert(db, 'tasks', { ...row, status: 'running' })
    await db.query(`insert into agent_stuck_episodes (agent_id, reason) values ('a', 'slow')`)
    await db.query(`update tasks set status = 'failed', retry_count = 2`)
    const events = await captured(db, 't')
    const ids = ['p', 'k', 't', 'a']
    assert.deepEqual(
      events.map((e) => [e.url, e.entity_id, e.project_id, e.ticket_id, e.task_id, e.agent_id]),
      [
        [ticketUrl, 'a', ...ids],
        [ticketUrl, 't', ...ids],
      ],
    )
    assert.deepEqual((JSON.parse(events[1]!.payload) as { data: unknown }).data, {
      error: 'e',
      retry_count: 2,
      max_retries: 5_000_000_000,
    })
  })
}

const durations: [name: string, columns: string][] = [
  ['times with a zone', 'started_at timestamptz, completed_at timestamptz'],
  ['times without a zone', 'started_at timestamp, completed_at timestamp'],
  ['a start without a zone, to which the completion is added', 'started_at timestamp'],
  ['a completion without a zone, to which the start is added', 'completed_at timestamp(0)'],
]

for (const [name, columns] of durations) {
  test(`${name} give a duration that is right whatever the time zone`, async (t) => {
    const db = await host(t, `create table tasks (id text primary key, status text, ${columns})`)
    await db.query(`alter database ${new URL(db.url).pathname.slice(1)} set timezone to 'Asia/Tokyo'`)
    const task = await runningTask(db)
    await db.query(`update tasks set started_at = '2026-01-01 00:00:00'`)
    await db.query(`update tasks set status = 'completed', completed_at = '2026-01-01 00:01:00'`)
    const { body } = await onlyEvent(db, task)
    assert.equal(body.data['duration_seconds'], 60)
  })
}

test('a task whose id is null, where a host allows that, completes without an event', async (t) => {
  const db = await host(t, `create table tasks (id text, ticket_id text, status text)`)
  await insert(db, 'tickets', { id: 'k', title: 't', webhook_url: ticketUrl })
  await db.query(`insert into tasks (ticket_id, status) values ('k', 'running')`)
  await db.query(`update tasks set status = 'completed'`)
  assert.deepEqual(await db.query('select * from webhook_outbox'), [])
})

test('a ticket that a host has twice gives one event', async (t) => {
  const db = await host(t, `create table tickets (id text, webhook_url text)`)
  await db.query(
    `insert into tickets values ('k', null), ('k', 'http://one.example/'), ('k', 'http://two.example/')`,
  )
  const task = await runningTask(db, { ticket_id: 'k' })
  // A session may ask PL/pgSQL to refuse a second row where one is wanted.
  await inSession(db, async (session) => {
    await session.query(`set plpgsql.extra_errors = 'too_many_rows'`)
    await setStatus(session, task, 'completed')
  })
  assert.match((await onlyEvent(db, task)).row.url, /^http:/)
})

const partitioned: [name: string, key: string, partitions: string][] = [
  [
    'by range of its creation',
    'range (created_at)',
    `create table tasks_old partition of tasks for values from (minvalue) to ('2026-01-01');
     create table tasks_new partition of tasks for values from ('2026-01-01') to (maxvalue)`,
  ],
  [
    'by list of its status, so that a completion moves the row',
    'list (status)',
    `create table tasks_open partition of tasks for values in ('pending', 'running');
     create table tasks_done (something text, id text not null, ticket_id text, status text, created_at timestamptz,
       result jsonb, completed_at timestamptz, host_column text);
     alter table tasks_done drop column something;
     alter table tasks attach partition tasks_done default`,
  ],
  [
    'by range of its completion, so that a completion moves the row',
    'range (completed_at)',
    `create table tasks_month partition of tasks for values from ('2026-01-01') to ('2036-01-01');
     create table tasks_default partition of tasks default`,
  ],
  [
    'by hash, and again by list',
    'hash (id)',
    `create table tasks_0 partition of tasks for values with (modulus 2, remainder 0) partition by list (status);
     create table tasks_0_open partition of tasks_0 for values in ('running');
     create table tasks_0_rest partition of tasks_0 default;
     create table tasks_1 partition of tasks for values with (modulus 2, remainder 1)`,
  ],
]

for (const [name, key, partitions] of partitioned) {
  test(`a task of a table partitioned ${name} is captured once`, async (t) => {
    const db = await host(
      t,
      `create table tasks (id text not null, ticket_id text, status text, created_at timestamptz default now(),
         result jsonb, completed_at timestamptz, host_column text) partition by ${key};
       ${partitions};
       create function host_rule() returns trigger language plpgsql as $$ begin
         if new.host_column = 'done' then new.status := 'completed'; end if; return new; end $$;
       create trigger zz_host_rule before update on tasks for each row execute function host_rule()`,
    )
    for (let n = 0; n < 4; n++) {
      const task = await runningTask(db, {
        result: JSON.stringify({ result: 'done', filler: 'x'.repeat(50_000) }),
      })
      await db.query(`update tasks set status = 'completed', completed_at = now() where id = $1`, [task])
      await db.query(`update tasks set host_column = 'x', completed_at = now() where id = $1`, [task])
      const { body } = await onlyEvent(db, task)
      assert.equal(body.data['result'], 'done')
      await setStatus(db, task, 'failed')
      await setStatus(db, task, 'running')
      await db.query(`update tasks set host_column = 'done' where id = $1`, [task])
      assert.deepEqual(await eventTypes(db, task), ['task.completed', 'task.failed', 'task.completed'])
      const [row] = await db.query('select status, host_column from tasks where id = $1', [task])
      assert.deepEqual(row, { status: 'completed', host_column: 'done' })
    }
  })
}

test('a partition that is attached later is captured too', async (t) => {
  const db = await host(
    t,
    `create table tasks (id text not null, ticket_id text, status text) partition by list (id)`,
  )
  await db.query(`create table tasks_later (like tasks);
    alter table tasks attach partition tasks_later for values in ('later')`)
  const task = await runningTask(db, { id: 'later' })
  await db.query(`update tasks_later set status = 'completed'`)
  await onlyEvent(db, task)
})

test('a status that a foreign key renames is captured, for each task that has it', async (t) => {
  const db = await host(
    t,
    `create table statuses (name text primary key);
     insert into statuses values ('running'), ('done'), ('failed');
     create table tasks (id text primary key, ticket_id text, status text references statuses on update cascade)`,
  )
  const [one, two, other] = [await runningTask(db), await runningTask(db), await runningTask(db)]
  await db.query(`update tasks set status = 'done' where id in ($1, $2)`, [one, two])
  await db.query(`update statuses set name = 'completed' where name = 'done'`)
  for (const task of [one, two]) assert.deepEqual(await eventTypes(db, task), ['task.completed'])
  assert.deepEqual(await eventTypes(db, other), [])
})

const parents: [name: string, ddl: string][] = [
  [
    'partition of another',
    `create table all_tasks (like tasks including defaults) partition by list (id);
     alter table all_tasks attach partition tasks default`,
  ],
  [
    'child of another',
    'create table all_tasks (like tasks including defaults); alter table tasks inherit all_tasks',
  ],
]

for (const [name, ddl] of parents) {
  test(`a table that the host makes a ${name} later is captured whichever of them is updated`, async (t) => {
    const db = await host(t, 'create table tasks (id text not null, ticket_id text, status text)')
    const task = await runningTask(db)
    await db.query(ddl)
    await db.query(`update all_tasks set status = 'completed'`)
    await db.query(`update tasks set status = 'failed'`)
    assert.deepEqual(await eventTypes(db, task), ['task.completed', 'task.failed'])
  })
}
