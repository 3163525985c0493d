import { type Kysely, sql } from 'kysely'
import { channel } from '../capture.ts'
import { describe } from '../comments.ts'
import { pinnedSearchPath } from '../search-path.ts'

/**
 * What an operator does to events: replay what is settled, discard what is owed. One or many, there is one function that
 * does it, for SQL, the API and the bulk operations alike.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await createUrlNow(db)
  await createReplay(db)
  await createDiscard(db)
  await createOperations(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table webhook_operation_batches, webhook_operations`.execute(db)
  await sql`drop function webhook_discard(uuid, text), webhook_discard_events(uuid[], text, timestamptz)`.execute(
    db,
  )
  await sql`drop function webhook_replay(uuid), webhook_replay_events(uuid[], timestamptz)`.execute(db)
  await sql`drop function webhook_url_now(text, text)`.execute(db)
}

/** BEGIN ATOMIC for the reason that capture has: it names columns of the host. */
async function createUrlNow(db: Kysely<unknown>): Promise<void> {
  await sql`
    create function webhook_url_now(ticket text, project text) returns table (url text)
    language sql stable
    begin atomic
      select coalesce(nullif(t.webhook_url, ''), nullif(p.webhook_url, ''))::text
      from (select) one
      left join tickets t on t.id = ticket
      -- What is left of an event whose ticket is gone is its project.
      left join projects p on p.id = case when t.id is null then project else t.project_id end;
    end`.execute(db)
  await sql`
    comment on function webhook_url_now(text, text) is
      'The URL that is configured now for an event of this ticket and project; null where there is none'`.execute(
    db,
  )
}

/**
 * Moves settled events back to the outbox. Two replays of one event at once meet on the lock of its row in the history:
 * the second finds it gone from there.
 */
async function createReplay(db: Kysely<unknown>): Promise<void> {
  const path = await pinnedSearchPath(db)
  await sql`
    create function webhook_replay_events(events uuid[], settled_until timestamptz)
    returns table (event_id uuid, endpoint_id uuid, outcome text)
    language plpgsql set search_path = ${path} as $$
    #variable_conflict use_column
    declare
      found uuid[];
      endpoints uuid[];
      outcomes text[];
    begin
      with settled as materialized (
        select h.event_id, h.settled_at, h.outcome, h.ticket_id, h.project_id, h.url as sent_to,
          h.event_type in ('endpoint.failing', 'endpoint.recovered') as is_news
        from webhook_history h where h.event_id = any(events)
        -- In the same order everywhere: two operations that share events would else wait for each other.
        order by h.created_at, h.event_id
        for update
      ),
      judged as materialized (
        select s.*, u.url, case
          when exists (select from webhook_outbox o where o.event_id = s.event_id) then 'owed'
          when s.settled_at > settled_until then 'settled_since'
          when u.url is null then 'no_url'
          else 'replayed' end as verdict
        from settled s cross join lateral (
          -- News of endpoints belongs to no ticket: it goes where it went.
          select s.sent_to where s.is_news
          union all
          select n.url from webhook_url_now(s.ticket_id, s.project_id) n where not s.is_news
        ) u (url)
      ),
      taken as (
        delete from webhook_history h using judged j
        where j.verdict = 'replayed' and h.event_id = j.event_id and h.settled_at = j.settled_at and h.outcome = j.outcome
        returning h.*, j.url as url_now
      ),
      owed as (
        insert into webhook_outbox (event_id, event_type, entity_type, entity_id, project_id, ticket_id, task_id, agent_id,
          url, payload, traceparent, attempts, attempts_before, next_attempt_at, last_status, last_error, created_at, replayed_at)
        select event_id, event_type, entity_type, entity_id, project_id, ticket_id, task_id, agent_id,
          url_now, payload, traceparent, attempts, attempts, now(), last_status, last_error, created_at, now()
        from taken order by created_at, event_id
        returning event_id, endpoint_id
      ),
      open as materialized (
        select e.id from webhook_endpoints e
        where e.breaker = 'open' and e.id in (select o.endpoint_id from owed o)
        order by e.id
        for update
      ),
      probed as (
        update webhook_endpoints e set probe_at = now() from open where e.id = open.id and e.breaker = 'open'
      )
      select array_agg(j.event_id), array_agg(o.endpoint_id), array_agg(j.verdict)
      into found, endpoints, outcomes
      from judged j left join owed o on o.event_id = j.event_id;

      if 'replayed' = any(outcomes) then
        perform pg_notify(${sql.lit(channel)}, '');
      end if;
      return query select * from unnest(found, endpoints, outcomes);
      -- What is in the history by now was owed a moment ago.
      return query select w.id, null::uuid, case
          when exists (select from webhook_outbox o where o.event_id = w.id)
            or exists (select from webhook_history h where h.event_id = w.id) then 'owed'
          else 'gone' end
        from unnest(events) w (id) where w.id <> all(coalesce(found, '{}'));
    end $$`.execute(db)
  await sql`
    comment on function webhook_replay_events(uuid[], timestamptz) is
      'Replays those of the events that were settled until then, and says what became of each: replayed, no_url, owed, settled_since or gone'`.execute(
    db,
  )
  await createReplayOfOne(db)
}

async function createReplayOfOne(db: Kysely<unknown>): Promise<void> {
  const path = await pinnedSearchPath(db)
  await sql`
    create function webhook_replay(event_id uuid) returns uuid
    language plpgsql set search_path = ${path} as $$
    declare
      replay record;
    begin
      select r.outcome, r.endpoint_id into replay from webhook_replay_events(array[webhook_replay.event_id], 'infinity') r;
      case replay.outcome
        when 'replayed' then return replay.endpoint_id;
        when 'owed' then raise exception using errcode = 'WH409',
          message = format('this event is owed: it is delivered or given up first; to send it now, update webhook_outbox set next_attempt_at = now() where event_id = %L',
            webhook_replay.event_id);
        when 'no_url' then raise exception using errcode = 'WH409',
          message = 'no webhook_url is configured now for this event: set one on its ticket or its project';
        else raise exception using errcode = 'WH404', message = 'there is no event with this id';
      end case;
    end $$`.execute(db)
  await sql`
    comment on function webhook_replay(uuid) is
      'Delivers a settled event again, under the same event_id, to the URL that is configured now; returns the endpoint. Refuses what is owed (WH409), what has no URL (WH409) and what is not kept (WH404)'`.execute(
    db,
  )
}

async function createDiscard(db: Kysely<unknown>): Promise<void> {
  const path = await pinnedSearchPath(db)
  await sql`
    create function webhook_discard_events(events uuid[], reason text, owed_until timestamptz)
    returns table (event_id uuid, outcome text)
    language plpgsql set search_path = ${path} as $$
    #variable_conflict use_column
    declare
      discarded uuid[];
    begin
      -- Only what is pending is locked: settling holds what is in flight, in an order of its own.
      with owed as materialized (
        select o.id from webhook_outbox o
        where o.event_id = any(events) and o.state = 'pending' and (o.replayed_at > owed_until) is not true
        order by o.id
        for update
      ),
      removed as (
        delete from webhook_outbox o using owed where o.id = owed.id returning o.*
      ),
      history as (
        insert into webhook_history (event_id, event_type, entity_type, entity_id, project_id, ticket_id, task_id, agent_id,
          url, payload, traceparent, outcome, attempts, last_status, last_error, created_at)
        select event_id, event_type, entity_type, entity_id, project_id, ticket_id, task_id, agent_id,
          url, payload, traceparent, 'discarded', attempts, last_status,
          'discarded by an operator' || coalesce(': ' || nullif(reason, ''), ''), created_at
        from removed
        returning event_id
      )
      select coalesce(array_agg(h.event_id), '{}') into discarded from history h;
      return query select d.id, 'discarded' from unnest(discarded) d (id);
      return query select w.id, case
          when o.replayed_at > owed_until then 'replayed_since'
          when o.event_id is not null then 'in_flight'
          when exists (select from webhook_history h where h.event_id = w.id) then 'settled'
          else 'gone' end
        from unnest(events) w (id) left join webhook_outbox o on o.event_id = w.id
        where w.id <> all(discarded);
    end $$`.execute(db)
  await sql`
    comment on function webhook_discard_events(uuid[], text, timestamptz) is
      'Gives up those of the events that are owed and were not replayed after then, and says what became of each: discarded, in_flight, settled, replayed_since or gone'`.execute(
    db,
  )

  await sql`
    create function webhook_discard(event_id uuid, reason text default null) returns void
    language plpgsql set search_path = ${path} as $$
    declare
      verdict text;
    begin
      select d.outcome into verdict from webhook_discard_events(array[webhook_discard.event_id], reason, 'infinity') d;
      case verdict
        when 'discarded' then return;
        when 'in_flight' then raise exception using errcode = 'WH409',
          message = 'this event is in flight: what came of the attempt is recorded first; try again after it';
        when 'settled' then raise exception using errcode = 'WH409',
          message = 'this event is not owed: it is settled already';
        else raise exception using errcode = 'WH404', message = 'there is no event with this id';
      end case;
    end $$`.execute(db)
  await sql`
    comment on function webhook_discard(uuid, text) is
      'Gives up an event that is owed and not in flight, with a reason. Refuses what is in flight or settled (WH409) and what is not kept (WH404)'`.execute(
    db,
  )
}

/**
 * Replays and discards of many events. What a request selected is written down with it, batch by batch, so that nothing
 * else is ever touched, a crash loses no place, and each event has its turn once: a batch is deleted by the transaction
 * that does it.
 */
async function createOperations(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table webhook_operations (
      id uuid primary key default gen_random_uuid(),
      kind text not null constraint webhook_operations_kind_check check (kind in ('replay', 'discard')),
      filter jsonb not null default '{}',
      reason text,
      state text not null default 'queued'
        constraint webhook_operations_state_check check (state in ('queued', 'running', 'done', 'cancelled', 'failed')),
      matched integer not null default 0,
      done integer not null default 0,
      skipped integer not null default 0,
      skipped_reasons jsonb not null default '{}',
      rate integer not null constraint webhook_operations_rate_check check (rate > 0),
      next_batch_at timestamptz not null default clock_timestamp(),
      requested_by text not null,
      error text,
      created_at timestamptz not null default clock_timestamp(),
      started_at timestamptz,
      finished_at timestamptz
    )`.execute(db)
  await sql`
    create index webhook_operations_next_batch_at_idx on webhook_operations (next_batch_at)
    where state in ('queued', 'running')`.execute(db)
  await sql`create index webhook_operations_created_at_idx on webhook_operations (created_at, id)`.execute(db)
  await describe(
    db,
    'table',
    'webhook_operations',
    'Replays and discards of many events, which dispatchers carry out one after the other',
    {
      id: 'Id of the operation',
      kind: 'replay: what is settled is delivered again; discard: what is owed is given up',
      filter: 'What it was asked to select',
      reason: 'Why it discards, for the last_error of its events',
      state: 'queued; running; done; cancelled by an operator: what was done stays done; failed: see error',
      matched: 'Events that it selected when it was requested',
      done: 'Events replayed or discarded so far',
      skipped: 'Events that it selected and could not take so far',
      skipped_reasons: 'Why, with the number of events of each reason',
      rate: 'Events a second, at most',
      next_batch_at: 'When the next batch has its turn',
      requested_by: 'Name of the token that requested it; anonymous where there are no tokens',
      error: 'Why it failed',
      created_at: 'When it was requested: what is settled, or replayed, after that is left alone',
      started_at: 'When its first batch began',
      finished_at: 'When it ended, in whatever way',
    },
  )
  await sql`
    create table webhook_operation_batches (
      operation_id uuid not null references webhook_operations (id) on delete cascade,
      n integer not null,
      event_ids uuid[] not null,
      primary key (operation_id, n)
    )`.execute(db)
  await describe(
    db,
    'table',
    'webhook_operation_batches',
    'The events that operations have yet to take, oldest first',
    {
      operation_id: 'The operation',
      n: 'Number of the batch',
      event_ids: 'The events',
    },
  )
}
