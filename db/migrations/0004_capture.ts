import { type Kysely, sql } from 'kysely'
import { insertEvents, wakeDispatcher } from '../capture.ts'
import { currentSchema } from '../search-path.ts'

/**
 * Capture: a change of tasks.status to completed or failed writes its event in the same transaction.
 *
 * Three parts, each for a reason:
 * - webhook_task_event and the two bodies are parsed here and now: the server tracks the host columns that they name, so
 *   that a host's later rename is followed and a drop is refused by name, and no search_path changes what their
 *   names and operators mean. They are inlined into the trigger's statements.
 * - webhook_capture_task is SECURITY DEFINER, because writers hold no grant on this service's tables. It has
 *   no SET clause, which would cost every captured change; it names everything by schema instead and uses
 *   no operator, so that there is nothing for a search_path to redirect. The URL is looked up first, so that a change to
 *   which none applies costs nothing else; the body is an expression without a query, which PL/pgSQL evaluates
 *   without one; the INSERT is of a plain row.
 * - The trigger's WHEN compares OLD and NEW after all BEFORE triggers, which UPDATE OF status would miss, and
 *   spares other updates the call: it costs them 4 µs a statement, and next to nothing a row. It compares in the collation "C": to another one, 'Completed' may be the same.
 *
 * It fires for each row. A trigger of the statement with transition tables makes an update of 10,000 tasks 1.9 times as
 * fast (3.7 times the bare update, and not 7), and is not worth it: only an order that nobody promises pairs an old row with
 * its new one; a table that becomes a partition or a child of another would lose its events without a word, as
 * such triggers fire for the table that the statement names; and one completion becomes dearer, not cheaper.
 *
 * Where tasks is partitioned, an update that moves a row to another partition fires no AFTER UPDATE trigger
 * (it is a delete and an insert). There the trigger is the last of the BEFORE UPDATE ones instead, by its name.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  const schema = await currentSchema(db)
  await sql`set local lock_timeout = '10s'`.execute(db)
  await createTextFunctions(db)
  const partitioned = await isPartitioned(db, 'tasks')

  await sql`
    create function webhook_task_event(task tasks)
    returns table (entity_id text, project_id text, ticket_id text, agent_id text, url text, completed boolean)
    language sql stable
    begin atomic
      select e.entity_id, e.project_id, e.ticket_id, e.agent_id, e.url, e.completed
      from (
        select (task).id::text as entity_id, ticket.project_id::text as project_id, ticket.id::text as ticket_id,
          (task).assigned_agent_id::text as agent_id,
          coalesce(nullif(ticket.webhook_url, ''), nullif(project.webhook_url, ''))::text as url,
          (task).status::text collate "C" = 'completed' as completed
        from tickets ticket left join projects project on project.id = ticket.project_id
        where ticket.id = (task).ticket_id
      ) e
      where e.url is not null and e.entity_id is not null
      limit 1;
    end`.execute(db)
  await sql`
    comment on function webhook_task_event(tasks) is
      'What and where to send of a task that just became completed or failed; no row where no URL applies'`.execute(
    db,
  )
  await createBodies(db)

  await sql`
    create function webhook_capture_task() returns trigger language plpgsql security definer as $$
    <<e>>
    declare
      event_type pg_catalog.text;
      entity_id pg_catalog.text;
      project_id pg_catalog.text;
      ticket_id pg_catalog.text;
      agent_id pg_catalog.text;
      url pg_catalog.text;
      completed pg_catalog.bool;
      payload pg_catalog.json;
    begin
      select t.entity_id, t.project_id, t.ticket_id, t.agent_id, t.url, t.completed
      into e.entity_id, e.project_id, e.ticket_id, e.agent_id, e.url, e.completed
      from ${sql.id(schema, 'webhook_task_event')}(new) t;
      if e.url is not null then
        if e.completed then
          e.event_type := 'task.completed';
          e.payload := ${sql.id(schema, 'webhook_completed_body')}(new, e.entity_id, e.project_id, e.ticket_id, e.agent_id);
        else
          e.event_type := 'task.failed';
          e.payload := ${sql.id(schema, 'webhook_failed_body')}(new, e.entity_id, e.project_id, e.ticket_id, e.agent_id);
        end if;
        ${insertEvents(schema, 'task')}
        ${wakeDispatcher(schema)}
      end if;
      return ${sql.raw(partitioned ? 'new' : 'null')};
    end $$`.execute(db)
  await sql`
    comment on function webhook_capture_task() is
      'Writes the event of a task that completed or failed to webhook_outbox, in the transaction of the change'`.execute(
    db,
  )
  // A trigger of their own would let others write events with the rights of the owner.
  await sql`revoke execute on function webhook_capture_task() from public`.execute(db)
  const trigger = partitioned
    ? sql`zzz_webhook_capture_task before update`
    : sql`webhook_capture_task after update`
  await sql`
    create trigger ${trigger} on tasks for each row
    when (old.status is distinct from new.status and new.status::text collate "C" in ('completed', 'failed'))
    execute function webhook_capture_task()`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`set local lock_timeout = '10s'`.execute(db)
  // CASCADE takes the trigger, wherever the host has moved its table, and nothing else can depend on it.
  await sql`drop function webhook_capture_task() cascade`.execute(db)
  await sql`drop function webhook_task_event, webhook_completed_body, webhook_failed_body`.execute(db)
  await sql`drop type webhook_task_body, webhook_completed_data, webhook_failed_data`.execute(db)
  await sql`drop function webhook_time(timestamptz)`.execute(db)
  await sql`drop function webhook_text(text)`.execute(db)
}

/**
 * The body of each event. Row types give compact JSON in the order of their columns by two calls, where concatenation takes
 * thirty: what a change costs here is not their run but the start of each function that an expression names. So each
 * event has its own.
 */
async function createBodies(db: Kysely<unknown>): Promise<void> {
  for (const [type, columns, comment] of [
    [
      'webhook_completed_data',
      'result text, duration_seconds numeric, output_summary text',
      'task.completed',
    ],
    ['webhook_failed_data', 'error text, retry_count bigint, max_retries bigint', 'task.failed'],
  ] as const) {
    await sql`create type ${sql.id(type)} as (${sql.raw(columns)})`.execute(db)
    await sql`comment on type ${sql.id(type)} is ${sql.lit(`The data of ${comment}`)}`.execute(db)
  }
  await sql`
    create type webhook_task_body as (event_type text, "timestamp" text, entity_type text, entity_id text, project_id text,
      ticket_id text, task_id text, agent_id text, data json)`.execute(db)
  await sql`comment on type webhook_task_body is 'The body of task.completed and task.failed'`.execute(db)

  // Unknown and infinite times are null, and epochs are subtracted: extreme times overflow an interval.
  await createBody(
    db,
    'completed',
    `row(
        case when jsonb_typeof((task).result -> 'result') = 'string'
          then webhook_text((task).result ->> 'result') else 'success' end,
        case when isfinite((task).completed_at) and isfinite((task).started_at)
          then trunc(extract(epoch from (task).completed_at) - extract(epoch from (task).started_at)) end,
        case when jsonb_typeof((task).result -> 'output_summary') = 'string'
          then webhook_text((task).result ->> 'output_summary') end
      )::webhook_completed_data`,
  )
  await createBody(
    db,
    'failed',
    `row(webhook_text((task).error_message::text), (task).retry_count, (task).max_retries)::webhook_failed_data`,
  )
}

async function createBody(db: Kysely<unknown>, status: 'completed' | 'failed', data: string): Promise<void> {
  const name = sql.id(`webhook_${status}_body`)
  // Volatile, as the clock is: what is declared stable and calls it would not be inlined.
  await sql`
    create function ${name}(task tasks, entity_id text, project_id text, ticket_id text, agent_id text) returns json
    language sql volatile
    return row_to_json(row(
      ${sql.lit(`task.${status}`)}, to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
      'task', entity_id, project_id, ticket_id, entity_id, agent_id,
      row_to_json(${sql.raw(data)})
    )::webhook_task_body)`.execute(db)
  await sql`
    comment on function ${name}(tasks, text, text, text, text) is ${sql.lit(`The body of task.${status}`)}`.execute(
    db,
  )
}

async function isPartitioned(db: Kysely<unknown>, table: string): Promise<boolean> {
  const { rows } = await sql`
    select from pg_class where oid = to_regclass(${table}) and relkind = 'p'`.execute(db)
  return rows.length > 0
}

async function createTextFunctions(db: Kysely<unknown>): Promise<void> {
  await sql`
    create function webhook_text(value text) returns text
    language sql immutable
    return case when char_length(value) > 4000 then left(value, 3988) || '…[truncated]' else value end`.execute(
    db,
  )
  await sql`
    comment on function webhook_text(text) is 'A text as payloads carry it: at most 4,000 characters'`.execute(
    db,
  )

  // Outside of the years 1 to 9999 a time has no RFC 3339 form: it counts as unknown, as infinite times do.
  await sql`
    create function webhook_time(value timestamptz) returns text
    language sql stable
    return case when value >= '0001-01-01 00:00:00+00' and value < '10000-01-01 00:00:00+00'
      then to_char(value at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') end`.execute(db)
  await sql`
    comment on function webhook_time(timestamptz) is 'A time as payloads carry it: RFC 3339, UTC, milliseconds'`.execute(
    db,
  )
}
