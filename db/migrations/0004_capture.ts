import { type Kysely, sql } from 'kysely'
import { insertEvents, wakeDispatcher } from '../capture.ts'
import { currentSchema } from '../search-path.ts'

/**
 * Capture: a change of tasks.status to completed or failed writes its event in the same transaction.
 *
 * Three parts, each for a reason:
 * - webhook_task_event has a BEGIN ATOMIC body: the server tracks the host columns that it names, so that
 *   a host's later rename is followed and a drop is refused by name. Its names and operators are resolved
 *   here and now, and no search_path changes them. It is inlined into the trigger's one INSERT.
 * - webhook_capture_task is SECURITY DEFINER, because writers hold no grant on this service's tables. It has
 *   no SET clause, which would cost every captured change; it names everything by schema instead and uses
 *   no operator, so that there is nothing for a search_path to redirect.
 * - The trigger's WHEN compares OLD and NEW after all BEFORE triggers, which UPDATE OF status would miss, and
 *   costs other updates nothing. It compares in the collation "C": to another one, 'Completed' may be the same.
 *
 * Where tasks is partitioned, an update that moves a row to another partition fires no AFTER UPDATE trigger
 * (it is a delete and an insert). There the trigger is the last of the BEFORE UPDATE ones instead, by its name.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  const schema = await currentSchema(db)
  await sql`set local lock_timeout = '10s'`.execute(db)
  await createTextFunctions(db)
  const partitioned = await isPartitioned(db, 'tasks')

  // Unknown and infinite times are null, and epochs are subtracted: extreme times overflow an interval.
  await sql`
    create function webhook_task_event(task tasks)
    returns table (event_type text, entity_id text, project_id text, ticket_id text, agent_id text, url text, payload json)
    language sql stable
    begin atomic
      select e.event_type, e.entity_id, e.project_id, e.ticket_id, e.agent_id, e.url, (
        select row_to_json(body) from (select
          e.event_type,
          to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "timestamp",
          'task' as entity_type, e.entity_id, e.project_id, e.ticket_id, e.entity_id as task_id, e.agent_id,
          case e.event_type
            when 'task.completed' then (select row_to_json(data) from (select
              case when jsonb_typeof((task).result -> 'result') = 'string'
                then webhook_text((task).result ->> 'result') else 'success' end as result,
              case when isfinite((task).completed_at) and isfinite((task).started_at)
                then trunc(extract(epoch from (task).completed_at) - extract(epoch from (task).started_at))
                end as duration_seconds,
              case when jsonb_typeof((task).result -> 'output_summary') = 'string'
                then webhook_text((task).result ->> 'output_summary') end as output_summary
            ) data)
            else (select row_to_json(data) from (select
              webhook_text((task).error_message::text) as error, (task).retry_count, (task).max_retries
            ) data)
          end as data
        ) body
      )
      from (
        select case when (task).status::text collate "C" = 'completed' then 'task.completed' else 'task.failed' end as event_type,
          (task).id::text as entity_id,
          ticket.project_id::text as project_id, ticket.id::text as ticket_id,
          (task).assigned_agent_id::text as agent_id,
          coalesce(nullif(ticket.webhook_url, ''), nullif(project.webhook_url, ''))::text as url
        from tickets ticket left join projects project on project.id = ticket.project_id
        where ticket.id = (task).ticket_id
      ) e
      where e.url is not null and e.entity_id is not null
      limit 1;
    end`.execute(db)
  await sql`
    comment on function webhook_task_event(tasks) is
      'The event of a task that just became completed or failed; no row where no URL applies'`.execute(db)

  await sql`
    create function webhook_capture_task() returns trigger language plpgsql security definer as $$
    begin
      ${insertEvents(schema, 'task', 'webhook_task_event')}
      if found then
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
  await sql`drop function webhook_task_event`.execute(db)
  await sql`drop function webhook_time(timestamptz)`.execute(db)
  await sql`drop function webhook_text(text)`.execute(db)
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
