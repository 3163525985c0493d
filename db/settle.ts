import { type Kysely, sql } from 'kysely'
import { eventColumns } from './event-columns.ts'
import { operatorEvents } from './operator-events.ts'
import { pinnedSearchPath } from './search-path.ts'

const settleSignature = sql.raw(`webhook_settle(
  bigint[], uuid[], text[], boolean[], double precision[], timestamptz[], integer[], integer[], text[], text[], boolean[],
  boolean[], integer, text)`)

/**
 * Records what came of a batch, in one statement, with what it says of the endpoints (see 0007_endpoints). Each row changes
 * only while the settlement's token still holds its lease: the fence that stops a dispatcher which stalled past its lease.
 *
 * A function, because its plan is made once a session: to plan a statement of this size takes as long as to settle 60 rows.
 * As the tables may be empty then, scans that only suit empty tables are switched off.
 */
export async function createSettle(db: Kysely<unknown>): Promise<void> {
  await sql`
    create function webhook_settle(
      ids bigint[], tokens uuid[], kinds text[], probes boolean[], waits_ms double precision[], starts timestamptz[],
      durations_ms integer[], statuses integer[], errors text[], responses text[], recoverables boolean[], pauses boolean[],
      per_endpoint integer, operator_url text)
    returns table (id bigint, owed_ms double precision, endpoint_id uuid, url text, turn text, error text)
    language plpgsql set search_path = ${await pinnedSearchPath(db)} set enable_seqscan = off set enable_bitmapscan = off
      set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$${sql.raw(settleBody)}$$`.execute(
    db,
  )
  await sql`
    comment on function ${settleSignature} is
      'Records what came of a batch of deliveries; for the dispatcher''s use only'`.execute(db)
  await sql`
    revoke execute on function ${settleSignature} from public`.execute(db)
}

export async function dropSettle(db: Kysely<unknown>): Promise<void> {
  await sql`drop function ${settleSignature}`.execute(db)
}

/** What a settlement says of the row that it changed. */
const said = 'kind, probe, started_at, duration_ms, status, error, response, recoverable, pause, n'
const saidOfSettlement = said.replaceAll(/\w+/g, 's.$&')

// The wait counts from the settling, on the clock of the database. Endpoints are locked in the order of their ids, as the
// claim does. Of a batch to one endpoint the failures after its last success count as the failures in a row.
// What a settlement says goes along with the row that it changed, in RETURNING: it is joined once. Endpoints come last, in a
// statement of their own: claims wait for them while they are locked, and everything else has been written by then.
const settleBody = `
    #variable_conflict use_column
    declare
      changed_ids bigint[];
      owed double precision[];
      endpoint_ids uuid[];
      row_counts integer[];
      any_succeeded boolean[];
      failure_counts integer[];
      any_probe_failed boolean[];
      any_probe_undone boolean[];
      any_judged boolean[];
      any_pause boolean[];
      any_recoverable boolean[];
      any_slow boolean[];
      new_statuses integer[];
      new_errors text[];
    begin
      with settlement as materialized (
        select * from unnest(ids, tokens, kinds, probes, waits_ms, starts, durations_ms, statuses, errors, responses, recoverables,
          pauses) with ordinality
          as s (id, token, kind, probe, wait_ms, started_at, duration_ms, status, error, response, recoverable, pause, n)
      ),
      settled as (
        delete from webhook_outbox o using settlement s
        where o.id = s.id and o.lease_token = s.token and s.kind in ('delivered', 'dead')
        returning o.*, ${saidOfSettlement}
      ),
      kept as (
        update webhook_outbox o
        set state = 'pending', lease_token = null, lease_until = null,
          attempts = o.attempts - (s.kind = 'released')::integer,
          attempts_before = o.attempts_before + (s.kind in ('handed-back', 'probe-failed'))::integer,
          next_attempt_at = case s.kind when 'retry' then clock_timestamp() + s.wait_ms * interval '1 ms' else o.next_attempt_at end,
          last_status = case s.kind when 'released' then o.last_status else s.status end,
          last_error = case s.kind when 'released' then o.last_error else s.error end
        from settlement s
        where o.id = s.id and o.lease_token = s.token and s.kind not in ('delivered', 'dead')
        returning o.id, o.event_id, o.endpoint_id, o.attempts, ${saidOfSettlement}
      ),
      history as (
        insert into webhook_history (${eventColumns}, outcome, attempts, last_status, last_error, created_at, recoverable)
        select ${eventColumns}, kind, attempts, status, coalesce(error, last_error), created_at, recoverable from settled
      ),
      changed as (
        -- As numbers: before PostgreSQL 17 nothing is subtracted from an infinite time, which SQL may have put there.
        select id, event_id, endpoint_id, attempts, ${said}, case kind when 'delivered' then
          (date_part('epoch', clock_timestamp()) - date_part('epoch', coalesce(replayed_at, created_at))) * 1000 end as owed_ms
        from settled
        union all select id, event_id, endpoint_id, attempts, ${said}, null from kept
      ),
      attempted as (
        insert into webhook_attempts (event_id, attempt, started_at, duration_ms, status, error, response)
        select event_id, attempts, started_at, duration_ms, status, error, response from changed where kind <> 'released'
      ),
      outcome as (
        select c.*, c.kind = 'delivered' as succeeded, c.kind in ('dead', 'retry', 'probe-failed') as failed,
          coalesce(max(c.n) filter (where c.kind = 'delivered') over (partition by c.endpoint_id), 0) as last_success
        from changed c
      ),
      tally as (
        select endpoint_id, count(*)::integer as rows,
          bool_or(succeeded) as succeeded,
          (count(*) filter (where failed and n > last_success))::integer as failures,
          bool_or(probe and failed) as probe_failed,
          bool_or(probe and not succeeded and not failed) as probe_undone,
          bool_or(succeeded or failed) as judged, bool_or(pause) as pause, bool_or(recoverable) as recoverable,
          bool_or(duration_ms >= 1000) as slow,
          (array_agg(status order by n desc) filter (where succeeded or failed))[1] as last_status,
          (array_agg(error order by n desc) filter (where failed))[1] as last_error
        from outcome group by endpoint_id
      )
      select c.ids, c.owed, t.* into changed_ids, owed, endpoint_ids, row_counts, any_succeeded, failure_counts, any_probe_failed,
        any_probe_undone, any_judged, any_pause, any_recoverable, any_slow, new_statuses, new_errors
      from (select array_agg(id) as ids, array_agg(owed_ms) as owed from changed) c
      cross join (
        select array_agg(endpoint_id), array_agg(rows), array_agg(succeeded), array_agg(failures), array_agg(probe_failed),
          array_agg(probe_undone), array_agg(judged), array_agg(pause), array_agg(recoverable), array_agg(slow),
          array_agg(last_status), array_agg(last_error)
        from tally
      ) t;

      return query
        with tally as (
          select * from unnest(endpoint_ids, row_counts, any_succeeded, failure_counts, any_probe_failed, any_probe_undone, any_judged,
            any_pause, any_recoverable, any_slow, new_statuses, new_errors)
            as t (endpoint_id, rows, succeeded, failures, probe_failed, probe_undone, judged, pause, recoverable, slow,
              last_status, last_error)
        ),
        locked as materialized (
          select e.*, coalesce(e.max_in_flight, per_endpoint) as most_slots, t.rows, t.succeeded, t.judged,
            t.probe_failed, t.probe_undone, t.pause, t.slow as was_slow, t.recoverable as more_dead,
            t.failures as new_failures, t.last_status as new_status, t.last_error as new_error,
            case when t.succeeded then t.failures else e.failures + t.failures end as in_row,
            case when t.succeeded or e.failing_since is null then now() else e.failing_since end as since
          from webhook_endpoints e join tally t on t.endpoint_id = e.id
          order by e.id
          for update of e
        ),
        judged as (
          select l.*, case
            when l.breaker <> 'closed' and l.succeeded then 'closed'
            when l.breaker <> 'closed' and (l.probe_failed or l.probe_undone) then 'open'
            when l.breaker = 'closed' and l.in_row >= 10 and now() - l.since >= interval '5 seconds' then 'open'
            else l.breaker end as judgement,
            l.more_dead and not l.owes_dead and coalesce(l.recover_at < now() - interval '10 minutes', true) as forgotten
          from locked l
        ),
        endpoints as (
          update webhook_endpoints e
          set settled = j.settled + j.rows,
            breaker = j.judgement,
            failures = j.in_row,
            failing_since = case when j.in_row > 0 then j.since end,
            opened_at = case when j.judgement = 'closed' then null when j.breaker = 'closed' then now() else j.opened_at end,
            probe_wait = case
              when j.judgement = 'closed' then null
              when j.breaker = 'closed' then interval '1 second'
              when j.probe_failed then least(j.probe_wait * 2, interval '2 minutes')
              else j.probe_wait end,
            probe_at = case
              when j.judgement = 'closed' then null
              when j.breaker = 'closed' then now() + interval '1 second'
              when j.probe_failed then now() + least(j.probe_wait * 2, interval '2 minutes')
              when j.probe_undone then now()
              else j.probe_at end,
            -- From an open breaker back: one at first, and twice as many each half second.
            slots = case
              when j.breaker <> 'closed' and j.judgement = 'closed' then 1
              when j.succeeded and j.new_failures = 0 and coalesce(j.ramp_at <= now(), true) then
                greatest(j.slots, least(j.slots * 2, j.most_slots))
              -- A batch of failures: what is left to try is tried by half as many, until the breaker opens or something succeeds.
              when j.new_failures > 0 and not j.succeeded then greatest(1, j.slots / 2)
              else j.slots end,
            ramp_at = case
              when j.breaker <> 'closed' and j.judgement = 'closed' then now() + interval '500 ms'
              when j.slots >= j.most_slots then null
              when j.ramp_at <= now() and j.succeeded then now() + interval '500 ms'
              else j.ramp_at end,
            slow = case when j.was_slow then true when j.succeeded then false else j.slow end,
            paused_at = case when j.pause then coalesce(j.paused_at, now()) else j.paused_at end,
            paused_reason = case when j.pause and j.paused_at is null then j.new_error else j.paused_reason end,
            owes_dead = j.owes_dead or j.more_dead,
            -- See recover.ts. What was brought back a while ago and died again goes on with the waits that it had.
            recover_rest = j.recover_rest or j.succeeded and (j.owes_dead or j.more_dead),
            recover_wait = case when j.forgotten then interval '30 seconds' else j.recover_wait end,
            recover_at = case
              when j.succeeded and (j.owes_dead or j.more_dead) then
                greatest(now(), j.recovered_at + case when j.forgotten then interval '30 seconds' else j.recover_wait end)
              when j.forgotten then now() + interval '30 seconds'
              when j.more_dead and not j.owes_dead then greatest(now(), j.recover_at)
              else j.recover_at end,
            last_success_at = case when j.succeeded then now() else j.last_success_at end,
            last_failure_at = case when j.new_failures > 0 then now() else j.last_failure_at end,
            last_status = case when j.judged then j.new_status else j.last_status end,
            last_error = coalesce(j.new_error, j.last_error),
            used_at = now()
          from judged j where e.id = j.id
        ),
        turned as (
          select j.*, t.turn
          from judged j cross join lateral (
            select 'paused' as turn where j.pause and j.paused_at is null
            union all select 'opened' where j.breaker = 'closed' and j.judgement = 'open'
            union all select 'closed' where j.breaker <> 'closed' and j.judgement = 'closed'
          ) t
        ),
        news as (${operatorEvents('operator_url')}
        )
        select c.id, c.owed_ms, null::uuid, null, null, null from unnest(changed_ids, owed) c (id, owed_ms)
        union all
        select null, null, id, url, turn, new_error from turned;
    end `
