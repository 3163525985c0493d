import assert from 'node:assert/strict'
import test from 'node:test'
import type pg from 'pg'
import {
  captured,
  checkedBody,
  databaseOfFile,
  eventTypes,
  insert,
  inSession,
  runningTask,
  setStatus,
  ticketUrl,
} from './host.ts'

const db = await databaseOfFile()
// A host's own table may have no NOT NULL here.
await db.query('alter table tasks alter column status drop not null')

const histories: [statuses: (string | null)[], events: string[]][] = [
  [['pending', 'completed'], ['task.completed']],
  [['pending', 'failed'], ['task.failed']],
  [[null, 'completed'], ['task.completed']],
  [['running', 'running'], []],
  [['completed'], []],
  [['failed'], []],
  [['completed', 'completed'], []],
  [['failed', 'failed'], []],
  [['completed', 'failed'], ['task.failed']],
  [['failed', 'completed'], ['task.completed']],
  [
    ['running', 'failed', 'pending', 'running', 'failed', 'completed'],
    ['task.failed', 'task.failed', 'task.completed'],
  ],
  [['running', 'completed', 'completed', 'completed'], ['task.completed']],
  [['completed', null], []],
  [['running', 'Completed', 'COMPLETED', 'completed ', 'complete', 'cancelled', ''], []],
]

for (const [[first, ...later], expected] of histories) {
  const shown = [first, ...later].map(String).join(' → ')
  test(`${shown} gives ${expected.join(', ') || 'no event'}`, async () => {
    const task = await runningTask(db, { status: first })
    for (const status of later) await db.query('update tasks set status = $2 where id = $1', [task, status])
    assert.deepEqual(await eventTypes(db, task), expected)
  })
}

const statements: [name: string, sql: (task: string) => string, events: string[]][] = [
  [
    'an UPDATE of several columns',
    (id) => `update tasks set title = 'x', status = 'completed', completed_at = now() where id = '${id}'`,
    ['task.completed'],
  ],
  ['an UPDATE of other columns', (id) => `update tasks set title = 'x' where id = '${id}'`, []],
  ['an UPDATE of its id', (id) => `update tasks set id = id || '' where id = '${id}'`, []],
  ['a DELETE', (id) => `delete from tasks where id = '${id}'`, []],
  [
    'a DELETE and an INSERT in one statement',
    (id) => `with d as (delete from tasks where id = '${id}' returning *)
      insert into tasks (id, ticket_id, title, status) select id || '-again', ticket_id, title, 'completed' from d`,
    [],
  ],
  [
    'an INSERT … ON CONFLICT DO UPDATE that meets the row',
    (id) => `insert into tasks (id, title, status) values ('${id}', 'x', 'completed')
      on conflict (id) do update set status = excluded.status`,
    ['task.completed'],
  ],
  [
    'an INSERT … ON CONFLICT DO NOTHING',
    (id) => `insert into tasks (id, title, status) values ('${id}', 'x', 'completed') on conflict do nothing`,
    [],
  ],
  [
    'a MERGE that matches',
    (id) => `merge into tasks t using (values ('${id}')) v (id) on t.id = v.id
      when matched then update set status = 'failed' when not matched then insert (id, title, status) values (v.id, 'x', 'failed')`,
    ['task.failed'],
  ],
  [
    'a MERGE that deletes',
    (id) => `merge into tasks t using (values ('${id}')) v (id) on t.id = v.id when matched then delete`,
    [],
  ],
  [
    'an UPDATE … FROM that joins the row several times',
    (
      id,
    ) => `update tasks t set status = v.status from (values ('${id}', 'completed'), ('${id}', 'completed')) v (id, status)
      where t.id = v.id`,
    ['task.completed'],
  ],
  [
    'a statement whose CTE gives the ticket its URL',
    (id) => `with u as (update tickets set webhook_url = 'http://late.example/' returning id)
      update tasks set status = 'completed' where id = '${id}' and exists (select from u)`,
    ['task.completed'],
  ],
  [
    'a cursor, by WHERE CURRENT OF',
    (id) => `begin; declare c cursor for select * from tasks where id = '${id}' for update; move next in c;
      update tasks set status = 'completed' where current of c; commit`,
    ['task.completed'],
  ],
  [
    'a function in another language than SQL',
    (id) => `do $$ begin update tasks set status = 'failed' where id = '${id}'; end $$`,
    ['task.failed'],
  ],
]

for (const [name, sql, expected] of statements) {
  test(`${name} gives ${expected.join(', ') || 'no event'}`, async () => {
    const task = await runningTask(db)
    await db.query(sql(task))
    assert.deepEqual(await eventTypes(db, task), expected)
    assert.deepEqual(await eventTypes(db, `${task}-again`), [])
  })
}

test('an upsert that inserts gives no event', async () => {
  const ticket_id = await insert(db, 'tickets', { title: 't', webhook_url: ticketUrl })
  await db.query(
    `insert into tasks (id, title, ticket_id, status) values ('upserted', 'x', $1, 'completed')
     on conflict (id) do update set status = 'failed'`,
    [ticket_id],
  )
  assert.deepEqual(await eventTypes(db, 'upserted'), [])
})

test("what a host's BEFORE trigger makes of the status is what counts", async () => {
  await db.query(`
    create function host_rule() returns trigger language plpgsql as $$ begin
      if new.title = 'becomes completed' then new.status := 'completed'; end if;
      if new.title = 'is held back' then new.status := old.status; end if;
      if new.title = 'is skipped' then return null; end if;
      return new;
    end $$;
    create trigger zzzz_host_rule before update on tasks for each row execute function host_rule()`)
  const [becomes, held, skipped] = [await runningTask(db), await runningTask(db), await runningTask(db)]
  await db.query(`update tasks set title = 'becomes completed' where id = $1`, [becomes])
  await db.query(`update tasks set title = 'is held back', status = 'completed' where id = $1`, [held])
  await db.query(`update tasks set title = 'is skipped', status = 'completed' where id = $1`, [skipped])
  assert.deepEqual(await eventTypes(db, becomes), ['task.completed'])
  assert.deepEqual(await eventTypes(db, held), [])
  assert.deepEqual(await eventTypes(db, skipped), [])
  await db.query('drop function host_rule() cascade')
})

test('tasks that swap their ids while one of them completes give the event of that one, under its new id', async () => {
  const [one, two] = [await runningTask(db), await runningTask(db)]
  await db.query('alter table tasks drop constraint tasks_pkey')
  await db.query(
    `update tasks set id = case id when $1 then $2 else $1 end, status = case id when $1 then 'completed' else status end
     where id in ($1, $2)`,
    [one, two],
  )
  await db.query('alter table tasks add primary key (id)')
  assert.deepEqual([await eventTypes(db, one), await eventTypes(db, two)], [[], ['task.completed']])
})

test('several updates of one statement are captured each', async () => {
  const [one, two] = [await runningTask(db), await runningTask(db)]
  await db.query(
    `with first as (update tasks set status = 'failed' where id = $1 returning id)
     update tasks set status = 'completed' where id = $2 and exists (select from first)`,
    [one, two],
  )
  assert.deepEqual(
    [await eventTypes(db, one), await eventTypes(db, two)],
    [['task.failed'], ['task.completed']],
  )
})

test("a change that a host's trigger makes because of another is captured as well, each once", async () => {
  const [one, two] = [await runningTask(db), await runningTask(db)]
  await db.query(`
    create function host_follows() returns trigger language plpgsql as $$ begin
      update tasks set status = 'failed' where id = '${two}';
      return null;
    end $$;
    create trigger host_follows after update on tasks for each row when (new.id = '${one}') execute function host_follows()`)
  await setStatus(db, one, 'completed')
  await db.query('drop function host_follows() cascade')
  assert.deepEqual(
    [await eventTypes(db, one), await eventTypes(db, two)],
    [['task.completed'], ['task.failed']],
  )
})

const rollbacks: [
  name: string,
  run: (session: pg.PoolClient, task: string) => Promise<unknown>,
  events: string[],
][] = [
  [
    'a rollback',
    async (s, task) => {
      await s.query('begin')
      await setStatus(s, task, 'completed')
      assert.deepEqual(await eventTypes(s, task), ['task.completed'])
      await s.query('rollback')
    },
    [],
  ],
  [
    'a rollback to a savepoint',
    async (s, task) => {
      await s.query('begin; savepoint a')
      await setStatus(s, task, 'completed')
      await s.query('rollback to a')
      await setStatus(s, task, 'failed')
      await s.query('commit')
    },
    ['task.failed'],
  ],
  [
    'a statement that fails after its update',
    (s, task) =>
      assert.rejects(
        s.query(`begin; update tasks set status = 'completed' where id = '${task}'; select 1/0; commit`),
      ),
    [],
  ],
  [
    'a block whose exception is caught',
    (s, task) =>
      s.query(`do $$ begin
        begin update tasks set status = 'completed' where id = '${task}'; perform 1/0; exception when division_by_zero then null; end;
      end $$`),
    [],
  ],
]

for (const [name, run, expected] of rollbacks) {
  test(`${name} leaves ${expected.join(', ') || 'no event'}`, async () => {
    const task = await runningTask(db)
    await inSession(db, (session) => run(session, task))
    assert.deepEqual(await eventTypes(db, task), expected)
  })
}

for (const level of ['read committed', 'repeatable read', 'serializable']) {
  test(`a ${level} transaction is captured, and is seen by nobody before it commits`, async () => {
    const task = await runningTask(db)
    await inSession(db, async (session) => {
      await session.query(`begin isolation level ${level}`)
      await setStatus(session, task, 'completed')
      await setStatus(session, task, 'failed')
      assert.deepEqual(await captured(db, task), [])
      await session.query('commit')
    })
    assert.deepEqual(await eventTypes(db, task), ['task.completed', 'task.failed'])
  })
}

test('10,000 tasks completed by one statement give 10,000 events', async () => {
  const ticket_id = await insert(db, 'tickets', { title: 't', webhook_url: ticketUrl })
  await db.query(
    `insert into tasks (id, title, ticket_id, status) select 'bulk-' || n, 'x', $1, 'running' from generate_series(1, 10000) n`,
    [ticket_id],
  )
  await db.query(`update tasks set status = 'completed', completed_at = now() where ticket_id = $1`, [
    ticket_id,
  ])
  const [counts] = await db.query(
    `select count(*)::int as events, count(distinct task_id)::int as tasks, count(distinct event_id)::int as ids
     from webhook_outbox where ticket_id = $1`,
    [ticket_id],
  )
  assert.deepEqual(counts, { events: 10_000, tasks: 10_000, ids: 10_000 })
})

test('the changes of one task by many sessions at once keep their order, and are each captured once', async () => {
  const task = await runningTask(db, { status: 'failed' })
  // Each turns the status over, under the row's lock: fifty changes, of which no two are at the same moment.
  await Promise.all(
    Array.from({ length: 50 }, () =>
      db.query(
        `update tasks set status = case status when 'failed' then 'completed' else 'failed' end where id = $1`,
        [task],
      ),
    ),
  )
  const { rows } = await db.pool.query<{ payload: string }>(
    `select payload::text from webhook_outbox where task_id = $1 order by id`,
    [task],
  )
  const bodies = rows.map((row) => checkedBody(row.payload))
  assert.deepEqual(
    bodies.map((body) => body.event_type),
    Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? 'task.completed' : 'task.failed')),
  )
  const times = bodies.map((body) => body.timestamp)
  assert.deepEqual(times, times.toSorted())
})

test('two changes of one task in one transaction have different times where the clock went on', async () => {
  const task = await runningTask(db)
  await db.query(`
    begin;
    update tasks set status = 'failed' where id = '${task}';
    select pg_sleep(0.002);
    update tasks set status = 'completed' where id = '${task}';
    commit`)
  const [failed, completed] = (await captured(db, task)).map((row) => checkedBody(row.payload).timestamp)
  assert.ok(failed! < completed!, `${failed} is before ${completed}`)
})
