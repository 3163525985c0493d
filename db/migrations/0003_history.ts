import { type Kysely, sql } from 'kysely'
import { describe, eventColumns, traceparent } from '../comments.ts'
import { endpointId } from '../endpoint.ts'
import { pinnedSearchPath } from '../search-path.ts'

/**
 * What is settled, and every attempt, partitioned by day: retention drops whole partitions. What was
 * delivered lies apart from what was given up, because the two are kept for different times.
 *
 * A settle that finds no partition would fail after the 2xx, and everything would be sent again:
 * days are made ahead of time, and a default partition takes what no day takes.
 */
const ranged = [
  'webhook_history_delivered',
  'webhook_history_dead',
  'webhook_attempts_ok',
  'webhook_attempts_failed',
]

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table webhook_history (
      event_id uuid not null,
      event_type text not null,
      entity_type text not null,
      entity_id text not null,
      project_id text,
      ticket_id text,
      task_id text,
      agent_id text,
      url text not null,
      payload json not null,
      outcome text not null
        constraint webhook_history_outcome_check check (outcome in ('delivered', 'dead', 'discarded')),
      attempts integer not null,
      last_status integer,
      last_error text,
      created_at timestamptz not null,
      settled_at timestamptz not null default clock_timestamp(),
      recoverable boolean not null default false,
      traceparent text,
      endpoint_id ${endpointId}
    ) partition by list (outcome)`.execute(db)
  await sql`
    create table webhook_history_delivered partition of webhook_history
      for values in ('delivered') partition by range (settled_at)`.execute(db)
  await sql`
    create table webhook_history_dead partition of webhook_history
      for values in ('dead', 'discarded') partition by range (settled_at)`.execute(db)
  // A key, and not just an index: without one, rows could not be deleted where a publication of the host covers all tables.
  await sql`alter table webhook_history add primary key (event_id, settled_at, outcome)`.execute(db)
  await sql`create index webhook_history_created_at_idx on webhook_history (created_at, event_id)`.execute(db)
  // A hash, because ids of the host may be too long for a btree, and a settle must not fail on one.
  await sql`create index webhook_history_task_id_idx on webhook_history using hash (task_id)`.execute(db)
  await sql`
    create index webhook_history_recoverable_idx on webhook_history_dead (endpoint_id, created_at) where recoverable`.execute(
    db,
  )

  await sql`
    create table webhook_attempts (
      event_id uuid not null,
      attempt integer not null,
      started_at timestamptz not null,
      duration_ms integer,
      status integer,
      error text,
      response text
    ) partition by list ((error is null))`.execute(db)
  await sql`
    create table webhook_attempts_ok partition of webhook_attempts
      for values in (true) partition by range (started_at)`.execute(db)
  await sql`
    create table webhook_attempts_failed partition of webhook_attempts
      for values in (false) partition by range (started_at)`.execute(db)
  await sql`create index webhook_attempts_event_id_idx on webhook_attempts (event_id)`.execute(db)

  for (const parent of ranged) {
    await sql`create table ${sql.id(`${parent}_default`)} partition of ${sql.id(parent)} default`.execute(db)
    // It can have no key, and needs another replica identity for the same reason.
    if (parent.startsWith('webhook_attempts')) {
      await sql`alter table ${sql.id(`${parent}_default`)} replica identity full`.execute(db)
    }
  }
  await createPartitionFunctions(db)
  await createRetentionFunction(db)
  await sql`select webhook_create_partitions(14)`.execute(db)
  await describeTables(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop function webhook_drop_expired_partition(interval, interval)`.execute(db)
  await sql`drop function webhook_create_partitions(integer)`.execute(db)
  await sql`drop view webhook_partitions`.execute(db)
  await sql`drop table webhook_attempts`.execute(db)
  await sql`drop table webhook_history`.execute(db)
}

async function createPartitionFunctions(db: Kysely<unknown>): Promise<void> {
  await sql`
    create view webhook_partitions as
    select p.relname::text as parent, c.relname::text as name,
      to_date(right(c.relname, 8), 'YYYYMMDD') as day
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    join pg_class p on p.oid = i.inhparent
    where i.inhparent in (${sql.raw(ranged.map((name) => `'${name}'::regclass`).join(', '))})
      and c.relname ~ '_[0-9]{8}$'`.execute(db)
  await describe(
    db,
    'view',
    'webhook_partitions',
    'The days that webhook_history and webhook_attempts have partitions for',
    {
      parent: 'What is kept in it, and for how long: delivered, dead, ok or failed',
      name: 'The partition',
      day: 'The day that it holds, UTC',
    },
  )

  const days = sql.raw(ranged.map((name) => `'${name}'`).join(', '))
  await sql`
    create function webhook_create_partitions(days_ahead integer) returns integer
    language plpgsql set search_path = ${await pinnedSearchPath(db)} set timezone = 'UTC' as $$
    declare
      parent text;
      key text;
      day date;
      name text;
      bounds text;
      columns text;
      made integer := 0;
    begin
      -- One dispatcher makes them; another that comes at the same time has nothing to do.
      if not pg_try_advisory_xact_lock('webhook_history'::regclass::oid::bigint) then
        return 0;
      end if;
      perform set_config('lock_timeout', '100ms', true);
      foreach parent in array array[${days}] loop
        key := case when parent like 'webhook\\_history\\_%' then 'settled_at' else 'started_at' end;
        for day in select d::date from generate_series(current_date, current_date + days_ahead, interval '1 day') d loop
          name := parent || '_' || to_char(day, 'YYYYMMDD');
          continue when to_regclass(quote_ident(name)) is not null;
          bounds := format('%I >= %L and %1$I < %3$L', key, day::timestamptz, (day + 1)::timestamptz);
          execute format('create table %I (like %I including defaults including constraints including generated)', name, parent);
          if parent like 'webhook\\_attempts\\_%' then
            execute format('alter table %I replica identity full', name);
          end if;
          -- Rows that came while this day was missing move in, and none may slip into the default meanwhile.
          execute format('lock table %I in exclusive mode', parent || '_default');
          select string_agg(quote_ident(attname), ', ' order by attnum) into columns
          from pg_attribute
          where attrelid = parent::regclass and attnum > 0 and not attisdropped and attgenerated = '';
          execute format(
            'with moved as (delete from %I where %s returning %s) insert into %I (%3$s) select %3$s from moved',
            parent || '_default', bounds, columns, name);
          execute format('alter table %I attach partition %I for values from (%L) to (%L)',
            parent, name, day::timestamptz, (day + 1)::timestamptz);
          made := made + 1;
        end loop;
      end loop;
      return made;
    end $$`.execute(db)
  await sql`
    comment on function webhook_create_partitions(integer) is
      'Makes the daily partitions that are missing from today to so many days ahead; returns how many it made'`.execute(
    db,
  )
}

async function createRetentionFunction(db: Kysely<unknown>): Promise<void> {
  await sql`
    create function webhook_drop_expired_partition(delivered interval, dead interval) returns text
    language plpgsql set search_path = ${await pinnedSearchPath(db)} set timezone = 'UTC' as $$
    declare
      expired text;
    begin
      perform set_config('lock_timeout', '100ms', true);
      select name into expired
      from webhook_partitions
      where (day + 1)::timestamptz <=
        now() - case when parent in ('webhook_history_delivered', 'webhook_attempts_ok') then delivered else dead end
      order by day, name
      limit 1;
      if expired is not null then
        execute format('drop table %I', expired);
        return expired;
      end if;
      delete from webhook_history_delivered_default where settled_at < now() - delivered;
      delete from webhook_history_dead_default where settled_at < now() - dead;
      delete from webhook_attempts_ok_default where started_at < now() - delivered;
      delete from webhook_attempts_failed_default where started_at < now() - dead;
      return null;
    end $$`.execute(db)
  await sql`
    comment on function webhook_drop_expired_partition(interval, interval) is
      'Drops the oldest partition that is past its retention and returns its name; null when none is left'`.execute(
    db,
  )
}

async function describeTables(db: Kysely<unknown>): Promise<void> {
  await describe(
    db,
    'table',
    'webhook_history',
    'What is settled: delivered, or given up with its reason; by day, dropped after its retention',
    {
      ...eventColumns,
      outcome: 'delivered; dead: failed for good; discarded: given up by an operator or by age',
      attempts: 'Attempts begun in all',
      last_status: 'HTTP status of the last attempt, null where there was no answer',
      last_error: 'Why it was given up, or why the attempt before the last failed',
      created_at: 'When the change was made, by the clock of the database',
      settled_at: 'When it was delivered or given up',
      recoverable: 'Died of 5xx, timeouts or network errors: brought back when its endpoint answers again',
      traceparent,
      endpoint_id: 'Endpoint: the URL without query and fragment, hashed',
    },
  )
  await describe(
    db,
    'table',
    'webhook_attempts',
    'One row an attempt; attempts that delivered are kept as long as delivered events, failed ones as long as dead events',
    {
      event_id: 'The event that was sent',
      attempt: 'Number of the attempt: the webhook-attempt header',
      started_at: 'When the exchange began, by the clock of the dispatcher',
      duration_ms: 'Milliseconds of the whole exchange, null where its dispatcher died',
      status: 'HTTP status of the answer, null where there was none',
      error: 'Why it did not deliver, null where it did',
      response: 'The first 2 KiB of the answer',
    },
  )
  for (const parent of ranged) {
    const kept = parent.endsWith('_delivered') || parent.endsWith('_ok') ? 'RETENTION' : 'DEAD_RETENTION'
    await sql`comment on table ${sql.id(parent)} is ${sql.lit(`Partitioned by day (UTC), kept for ${kept}`)}`.execute(
      db,
    )
    await sql`
      comment on table ${sql.id(`${parent}_default`)} is 'Takes what no day takes; rows move out when their day is made'`.execute(
      db,
    )
  }
}
