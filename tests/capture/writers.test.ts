import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import test from 'node:test'
import type pg from 'pg'
import { onCleanup } from '../support/cleanup.ts'
import {
  captured,
  databaseOfFile,
  file,
  inSession,
  insert,
  onlyEvent,
  runningTask,
  setStatus,
  ticketUrl,
} from './host.ts'

/** A role that may do what a host's backend does, holds no grant on this service's tables, and is not trusted. */
const db = await databaseOfFile()
const writer = `outbox_test_writer_${randomBytes(4).toString('hex')}`
await db.query(`
  create role ${writer};
  grant select, insert, update, delete on projects, tickets, tasks, agents to ${writer};
  create schema hostile authorization ${writer}`)
onCleanup(file, () => db.query(`drop owned by ${writer} cascade; drop role ${writer}`))

async function asWriter<T>(use: (session: pg.PoolClient) => Promise<T>): Promise<T> {
  return inSession(db, async (session) => {
    await session.query(`set role ${writer}`)
    return use(session)
  })
}

test('a writer without any grant on the service’s tables is captured', async () => {
  const task = await runningTask(db)
  await asWriter((session) => setStatus(session, task, 'completed'))
  await onlyEvent(db, task)
})

const forbidden: [name: string, sql: string][] = [
  ['reads webhook_outbox', 'select * from webhook_outbox'],
  ['reads webhook_history', 'select * from webhook_history'],
  ['reads webhook_attempts', 'select * from webhook_attempts'],
  ['reads webhook_events', 'select * from webhook_events'],
  ['reads webhook_backlog', 'select * from webhook_backlog'],
  ['reads webhook_dead_letters', 'select * from webhook_dead_letters'],
  [
    'inserts into webhook_outbox',
    `insert into webhook_outbox (event_type, entity_type, entity_id, url, payload) values ('x', 'x', 'x', 'x', '{}')`,
  ],
  ['updates webhook_outbox', `update webhook_outbox set url = 'http://evil.example/'`],
  ['deletes from webhook_outbox', 'delete from webhook_outbox'],
  ['opens an episode', `insert into agent_stuck_episodes (agent_id) values ('a')`],
  ['ends an episode', 'update agent_stuck_episodes set ended_at = now()'],
  ['calls the trigger function of tasks', 'select webhook_capture_task()'],
  ['calls the trigger function of episodes', 'select webhook_capture_stuck_agent()'],
  ['calls the trigger function of heartbeats', 'select webhook_heartbeat()'],
  [
    'ends an episode by an agent of its own making',
    'select webhook_end_missing_heartbeat(a) from (select null::agents as a) x',
  ],
  ['makes partitions', 'select webhook_create_partitions(30)'],
  ['drops partitions', `select webhook_drop_expired_partition(interval '0', interval '0')`],
  [
    'attaches the trigger function to a table of its own',
    `create table hostile.tasks (like public.tasks);
     create trigger forge after update on hostile.tasks for each row execute function webhook_capture_task()`,
  ],
  [
    'attaches the trigger function to a temporary table',
    `create temp table tasks (like public.tasks);
     create trigger forge after update on pg_temp.tasks for each row execute function webhook_capture_task()`,
  ],
  [
    'attaches the trigger function of episodes to a table of its own',
    `create table hostile.agent_stuck_episodes (agent_id text, reason text, started_at timestamptz, ended_at timestamptz);
     create trigger forge after insert on hostile.agent_stuck_episodes for each row
     execute function webhook_capture_stuck_agent()`,
  ],
  [
    'attaches the trigger function of heartbeats to a table of its own',
    `create table hostile.agents (like public.agents);
     create trigger forge after update on hostile.agents for each row execute function webhook_heartbeat()`,
  ],
  ['lets a table of its own inherit from tasks', 'create table hostile.child () inherits (public.tasks)'],
  [
    'replaces the function of the event',
    'create or replace function webhook_text(value text) returns text language sql return $$x$$',
  ],
  ['switches the trigger off', 'alter table tasks disable trigger webhook_capture_task'],
  ['switches all triggers off for its session', 'set session_replication_role = replica'],
]

for (const [name, sql] of forbidden) {
  test(`a writer that ${name} is refused`, async () => {
    await assert.rejects(
      asWriter((session) => session.query(sql)),
      { code: '42501' },
    )
  })
}

test('the functions of events give a writer nothing to forge with: they only read, with its own rights', async () => {
  const before = await db.query('select count(*) from webhook_outbox')
  await asWriter((session) =>
    session
      .query(`select * from webhook_task_event(row('x', 't', 'x', 'completed')::tasks)`)
      .catch(() => undefined),
  )
  assert.deepEqual(await db.query('select count(*) from webhook_outbox'), before)
  const rights = await db.query(`
    select p.proname from pg_proc p where p.prosecdef and p.proname like 'webhook%'
      and has_function_privilege('${writer}', p.oid, 'execute')`)
  assert.deepEqual(rights, [])
})

const hijack = `
  create function hostile.stolen() returns text language plpgsql as
    $$ begin raise exception 'hijacked as %', current_user; end $$;
  create function hostile.hijack_bool(text, text) returns boolean language sql as 'select hostile.stolen() is null';
  create function hostile.hijack_text(text, text) returns text language sql as 'select hostile.stolen()';
  create function hostile.hijack_json(json, text) returns text language sql as 'select hostile.stolen()';
  create function hostile.hijack_jsonb(jsonb, text) returns jsonb language sql as 'select hostile.stolen()::jsonb';
  create operator hostile.= (leftarg = text, rightarg = text, function = hostile.hijack_bool);
  create operator hostile.<> (leftarg = text, rightarg = text, function = hostile.hijack_bool);
  create operator hostile.|| (leftarg = text, rightarg = text, function = hostile.hijack_text);
  create operator hostile.-> (leftarg = jsonb, rightarg = text, function = hostile.hijack_jsonb);
  create function hostile.clock_timestamp() returns timestamptz language sql as 'select hostile.stolen()::timestamptz';
  create function hostile.now() returns timestamptz language sql as 'select hostile.stolen()::timestamptz';
  create function hostile.gen_random_uuid() returns uuid language sql as 'select hostile.stolen()::uuid';
  create function hostile.row_to_json(record) returns json language plpgsql as 'begin return hostile.stolen(); end';
  create function hostile.to_char(timestamp, text) returns text language sql as 'select hostile.stolen()';
  create function hostile.jsonb_typeof(jsonb) returns text language sql as 'select hostile.stolen()';
  create function hostile.isfinite(timestamptz) returns boolean language sql as 'select hostile.stolen() is null';
  create function hostile.md5(text) returns text language sql as 'select hostile.stolen()';
  create function hostile.pg_notify(text, text) returns void language sql as 'select hostile.stolen()';
  create function hostile.pg_try_advisory_xact_lock_shared(int, int) returns boolean language sql as 'select hostile.stolen() is null';
  create function hostile.webhook_text(text) returns text language sql as 'select hostile.stolen()';
  create function hostile.webhook_time(timestamptz) returns text language sql as 'select hostile.stolen()';
  create function hostile.webhook_task_event(public.tasks)
    returns table (event_type text, entity_id text, project_id text, ticket_id text, agent_id text, url text, payload json)
    language sql as $$ select 'x', 'x', 'x', 'x', 'x', 'http://evil.example/', '{}'::json $$;
  create function hostile.webhook_completed_body(public.tasks, text, text, text, text) returns json
    language sql as $$ select hostile.stolen()::json $$;
  create function hostile.webhook_failed_body(public.tasks, text, text, text, text) returns json
    language sql as $$ select hostile.stolen()::json $$;
  create type hostile.webhook_task_body as (stolen text);
  create type hostile.regclass as enum ('x'); create type hostile.text as enum ('x'); create type hostile.json as enum ('x');
  create type hostile.bool as enum ('x');
  create domain hostile.oid as int; create domain hostile.int4 as int check (false);
  create table hostile.webhook_outbox (like public.webhook_outbox); create table hostile.tickets (like public.tickets);
  create table hostile.projects (like public.projects); create table hostile.agents (like public.agents)`

const searchPaths: [name: string, setUp: string][] = [
  ['of hostile objects first', `set search_path to hostile, pg_catalog, public`],
  ['of hostile objects only', `set search_path to hostile`],
  ['of nothing', `set search_path to ''`],
  [
    'of temporary objects first',
    `create temp table tickets (id text, project_id text, webhook_url text);
     create temp table projects (id text, webhook_url text);
     create temp table webhook_outbox (event_type text, url text, payload json);
     create temp table tasks (like public.tasks);
     create domain pg_temp.regclass as integer; create domain pg_temp.text as varchar check (value = 'never');
     create domain pg_temp.bool as boolean check (value is null); create domain pg_temp.json as varchar check (value = 'never');
     create function pg_temp.webhook_text(text) returns text language sql as 'select (1/0)::pg_catalog.text';
     set search_path to pg_temp, hostile, pg_catalog, public`,
  ],
]

test('hostile operators, functions, types and tables in the search_path', async (t) => {
  await db.query(hijack)
  await db.query(`grant all on all tables in schema hostile to ${writer}`)
  for (const status of ['completed', 'failed']) {
    for (const [name, setUp] of searchPaths) {
      await t.test(`a search_path ${name} does not change what ${status} captures`, async () => {
        const ticket_id = await insert(db, 'tickets', { title: 't', webhook_url: ticketUrl })
        const task = await runningTask(db, { ticket_id, error_message: 'e', result: '{"result":"done"}' })
        // A session of its own: nothing is planned before the search_path is hostile.
        await asWriter(async (session) => {
          await session.query(setUp)
          const { rowCount } = await session.query(
            `update public.tasks set status = '${status}' where id operator(pg_catalog.=) '${task}'`,
          )
          assert.equal(rowCount, 1)
        })
        const { row, body } = await onlyEvent(db, task)
        assert.equal(row.url, ticketUrl)
        assert.deepEqual(
          body.data,
          status === 'completed'
            ? { result: 'done', duration_seconds: null, output_summary: null }
            : { error: 'e', retry_count: 0, max_retries: 3 },
        )
        assert.deepEqual(await db.query('select * from hostile.webhook_outbox'), [])
      })
    }
  }
  await t.test('nor what an episode captures, nor what a heartbeat ends', async () => {
    const agent = await insert(db, 'agents', { agent_type: 'a', last_heartbeat: '2020-01-01' })
    const task = await runningTask(db, { assigned_agent_id: agent })
    await inSession(db, async (session) => {
      await session.query('set search_path to hostile')
      await session.query(
        `insert into public.agent_stuck_episodes (agent_id, reason) values ('${agent}', 'no_heartbeat')`,
      )
    })
    await asWriter(async (session) => {
      await session.query('set search_path to hostile')
      await session.query(
        `update public.agents set last_heartbeat = pg_catalog.now() where id operator(pg_catalog.=) '${agent}'`,
      )
    })
    assert.equal((await captured(db, task)).length, 1)
    const [episode] = await db.query<{ ended: boolean }>(
      'select ended_at is not null as ended from agent_stuck_episodes where agent_id = $1',
      [agent],
    )
    assert.equal(episode!.ended, true)
  })
})

test('row level security of the host does not hide a ticket from capture', async () => {
  const task = await runningTask(db)
  await db.query('alter table tickets enable row level security')
  try {
    await asWriter(async (session) => {
      assert.deepEqual((await session.query('select * from tickets')).rows, [])
      await setStatus(session, task, 'completed')
    })
  } finally {
    await db.query('alter table tickets disable row level security')
  }
  await onlyEvent(db, task)
})
