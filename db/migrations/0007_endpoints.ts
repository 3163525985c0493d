import { type Kysely, sql } from 'kysely'
import { channel } from '../capture.ts'
import { describe } from '../comments.ts'
import { pinnedSearchPath } from '../search-path.ts'

/**
 * One row an endpoint: how it fares, and what it may get. Writers never touch it, so that they do not queue behind each
 * other on it; it is made when the first of its events is claimed.
 *
 * The breaker:
 *
 *   closed ──10 failures in a row, over 5 s at least──► open ──probe_at──► probing (one delivery)
 *     ▲                                                  ▲                    │
 *     └──────────────── an answer of 2xx ◄───────────────┼────────────────────┤
 *                       (slots from 1 on)                └── failed: wait × 2 ┘
 *
 * `slots` is how many deliveries may be in flight: it doubles with each batch that succeeds, up to
 * MAX_IN_FLIGHT_PER_ENDPOINT, so that an endpoint which returns is not flooded.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await createEndpoints(db)
  await describe(
    db,
    'table',
    'webhook_endpoints',
    'One row an endpoint, which is a URL without its query and fragment: its health, its breaker, and whether it is paused',
    columnComments,
  )
  await createClaim(db)
  await createPause(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop function webhook_pause_endpoint(uuid, text), webhook_resume_endpoint(uuid)`.execute(db)
  await sql`drop function webhook_claim(integer, double precision, integer, integer, integer, jsonb, uuid[], uuid[], uuid, integer)`.execute(
    db,
  )
  await sql`drop function webhook_due_endpoints(uuid, integer)`.execute(db)
  await sql`drop table webhook_endpoints`.execute(db)
}

async function createEndpoints(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table webhook_endpoints (
      id uuid primary key,
      url text not null,
      breaker text not null default 'closed'
        constraint webhook_endpoints_breaker_check check (breaker in ('closed', 'open', 'probing')),
      paused_at timestamptz,
      paused_reason text,
      in_flight integer not null default 0,
      slots integer not null default 4,
      ramp_at timestamptz,
      slow boolean not null default true,
      failures integer not null default 0,
      failing_since timestamptz,
      opened_at timestamptz,
      probe_at timestamptz,
      probe_wait interval,
      owes_dead boolean not null default false,
      recover_at timestamptz,
      recover_wait interval,
      recover_rest boolean not null default false,
      recovered_at timestamptz,
      last_success_at timestamptz,
      last_failure_at timestamptz,
      last_status integer,
      last_error text,
      max_in_flight integer
        constraint webhook_endpoints_max_in_flight_check check (max_in_flight > 0),
      retry_schedule interval[]
        constraint webhook_endpoints_retry_schedule_check check (
          cardinality(retry_schedule) <= 100
          and interval '0' <= all (retry_schedule) and interval '3660 days' >= all (retry_schedule)),
      timeout interval
        constraint webhook_endpoints_timeout_check check (timeout between interval '1 ms' and interval '3660 days'),
      max_owed_age interval
        constraint webhook_endpoints_max_owed_age_check check (max_owed_age between interval '1 ms' and interval '100 years'),
      headers jsonb
        constraint webhook_endpoints_headers_check check (
          jsonb_typeof(headers) = 'object' and not jsonb_path_exists(headers, '$.* ? (@.type() <> "string")')),
      created_at timestamptz not null default clock_timestamp(),
      used_at timestamptz not null default clock_timestamp()
    ) with (fillfactor = 50)`.execute(db)
  await sql`
    create index webhook_endpoints_recover_at_idx on webhook_endpoints (recover_at) where owes_dead`.execute(
    db,
  )
}

const columnComments = {
  id: 'The endpoint_id of its events',
  url: 'The URL without query and fragment',
  breaker: 'closed: deliveries flow; open: what is owed waits until probe_at; probing: one delivery tries it',
  paused_at: 'Since when what is owed to it waits for a resume; null where it is not paused',
  paused_reason: 'Why it is paused',
  in_flight: 'Deliveries that dispatchers hold now',
  slots: 'How many deliveries may be in flight; grows with success up to MAX_IN_FLIGHT_PER_ENDPOINT',
  ramp_at: 'Slots do not grow before this time: set while an endpoint that was away comes back',
  slow: 'Its answers take a second or more, or it has not answered yet: slow endpoints share half of the slots',
  failures: 'Failures in a row, of any kind',
  failing_since: 'When the first of these failures was',
  opened_at: 'When the breaker opened; null while it is closed',
  probe_at: 'When the next delivery tries it; null while the breaker is closed',
  probe_wait: 'The wait before that',
  owes_dead: 'Events to it are dead that may be brought back: see webhook_history.recoverable',
  recover_at: 'When the oldest of these is tried again',
  recover_wait: 'The wait before that',
  recover_rest: 'It has answered since: at recover_at all of them are tried again, and not the oldest only',
  recovered_at: 'When all of them were brought back last',
  last_success_at: 'Its last 2xx',
  last_failure_at: 'Its last failure',
  last_status: 'HTTP status of its last answer',
  last_error: 'Why the last attempt that failed did',
  max_in_flight: 'Its own limit of deliveries in flight, instead of MAX_IN_FLIGHT_PER_ENDPOINT',
  retry_schedule: 'Its own waits before each retry, instead of RETRY_SCHEDULE; empty: no retries',
  timeout: 'Its own deadline of an exchange, instead of DELIVERY_TIMEOUT; the lease limits it',
  max_owed_age: 'Its own limit of how long an event is owed, instead of MAX_OWED_AGE',
  headers: 'Request headers that each delivery to it carries, such as a token: an object of name and value',
  created_at: 'When its row was made: at the first claim of an event to it, or when an operator set it up',
  used_at: 'When the last attempt to it was settled; rows that are idle past the retention are removed',
}

/**
 * A function, because each of its statements sees what the one before it has locked: a count of what is in flight and the
 * rows taken under it in one snapshot would let two dispatchers fill the cap together. Its plans are made once, when the
 * tables may be empty: scans that only suit empty tables are switched off.
 */
async function createClaim(db: Kysely<unknown>): Promise<void> {
  const path = await pinnedSearchPath(db)
  await sql`
    create function webhook_due_endpoints(after uuid, visits integer)
    returns table (endpoint_id uuid, next_attempt_at timestamptz)
    language sql stable
    begin atomic
      with recursive ring (endpoint_id, next_attempt_at, visit) as (
        (select o.endpoint_id, o.next_attempt_at, 1
         from webhook_outbox o where o.state = 'pending' and o.endpoint_id > after
         order by o.endpoint_id, o.next_attempt_at, o.id limit 1)
        union all
        select o.endpoint_id, o.next_attempt_at, ring.visit + 1
        from ring cross join lateral (
          select n.endpoint_id, n.next_attempt_at from webhook_outbox n
          where n.state = 'pending' and n.endpoint_id > ring.endpoint_id
          order by n.endpoint_id, n.next_attempt_at, n.id limit 1
        ) o
        where ring.visit < visits
      )
      select ring.endpoint_id, ring.next_attempt_at from ring;
    end`.execute(db)
  await sql`
    comment on function webhook_due_endpoints(uuid, integer) is
      'The next endpoints that are owed something, in the order of their ids, each with the time of its first event'`.execute(
    db,
  )

  await sql`
    create function webhook_claim(
      max_rows integer, lease_ms double precision, max_held integer, cap integer, slow_budget integer,
      held jsonb, hanging uuid[], hot uuid[], after uuid, visits integer)
    returns table (
      id bigint, event_id uuid, event_type text, url text, payload json, attempts integer, attempts_before integer,
      once boolean, lease_token uuid, endpoint_id uuid, settings jsonb, probe boolean, slow boolean, quota integer,
      next_after uuid, next_due_at timestamptz, crowded boolean)
    language plpgsql set search_path = ${path} set enable_seqscan = off set enable_bitmapscan = off
      set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$${sql.raw(claimBody)}$$`.execute(
    db,
  )
  await sql`
    comment on function webhook_claim(integer, double precision, integer, integer, integer, jsonb, uuid[], uuid[], uuid, integer) is
      'Takes what is due for a dispatcher, within the limits of each endpoint; for the dispatcher''s use only'`.execute(
    db,
  )
  await sql`
    revoke execute on function webhook_claim(integer, double precision, integer, integer, integer, jsonb, uuid[], uuid[], uuid, integer) from public`.execute(
    db,
  )
}

const claimBody = `
    #variable_conflict use_column
    declare
      nowhere constant uuid := '00000000-0000-0000-0000-000000000000';
      token constant uuid := gen_random_uuid();
      visited uuid[];
      waiting timestamptz;
      ready uuid[];
      known integer;
      ids bigint[];
      owners uuid[];
      quotas integer[];
      probes boolean[];
      slows boolean[];
      settings_of jsonb[];
      held_endpoints constant bigint := (select count(*) from jsonb_object_keys(held));
      shared_out boolean;
    begin
      -- Who is owed something now: the next endpoints of the ring, which reaches everybody; and, so that they need not wait
      -- for their turn, those of the newest rows, and those of which the dispatcher knows that more was due.
      next_after := after;
      select array_agg(d.endpoint_id), min(d.next_attempt_at) filter (where d.next_attempt_at > now()),
        array_agg(d.endpoint_id) filter (where d.next_attempt_at <= now())
      into visited, waiting, ready
      from webhook_due_endpoints(after, visits) d;
      next_after := case when cardinality(visited) = visits then visited[visits] else nowhere end;
      if next_after = nowhere and after <> nowhere then
        select least(waiting, min(d.next_attempt_at) filter (where d.next_attempt_at > now())),
          ready || array_agg(d.endpoint_id) filter (where d.next_attempt_at <= now())
        into waiting, ready
        from webhook_due_endpoints(nowhere, visits - coalesce(cardinality(visited), 0)) d
        where d.endpoint_id <= after;
      end if;
      if next_after <> nowhere then
        select array_agg(distinct n.endpoint_id) into ready from (
          select unnest(ready)
          union all
          (select o.endpoint_id from (
            select p.endpoint_id, p.next_attempt_at from webhook_outbox p where p.state = 'pending' order by p.id desc limit 64
          ) o where o.next_attempt_at <= now())
          union all
          select h from unnest(hot) h where exists (
            select from webhook_outbox p where p.state = 'pending' and p.endpoint_id = h and p.next_attempt_at <= now())
        ) n (endpoint_id);
      end if;
      next_due_at := waiting;

      if ready is not null then
        select count(*) into known from webhook_endpoints e where e.id = any(ready);
        if known < cardinality(ready) then
          insert into webhook_endpoints (id, url)
          select r.id, split_part(split_part(o.url, '#', 1), '?', 1)
          from unnest(ready) r (id) cross join lateral (
            select p.url from webhook_outbox p where p.state = 'pending' and p.endpoint_id = r.id
            order by p.endpoint_id, p.next_attempt_at, p.id limit 1) o
          -- In the same order everywhere: two claims that meet the same new endpoints would else wait for each other.
          order by r.id
          on conflict do nothing;
        end if;
        select least(next_due_at, min(e.probe_at) filter (where e.probe_at > now())),
          bool_or(e.breaker = 'closed' and e.in_flight >= least(e.slots, coalesce(e.max_in_flight, cap)))
        into next_due_at, crowded
        from webhook_endpoints e where e.id = any(ready) and e.paused_at is null;

        -- Locked in the order of their ids, as settling does. The lock is what makes the count of in_flight hold.
        -- What the ring came to first is served first. Of the slow ones, which share what they may have, those that have
        -- least in flight and have waited longest are first: no few of them can keep the others from it.
        with locked as materialized (
          select e.id, e.breaker <> 'closed' as probe, e.slow or e.id = any(hanging) as slow, e.in_flight, e.used_at,
            case e.breaker when 'closed' then least(e.slots, coalesce(e.max_in_flight, cap)) - e.in_flight else 1 end as quota,
            case when num_nonnulls(e.retry_schedule, e.timeout, e.headers, e.secrets) > 0 then jsonb_build_object(
              'retry_schedule_ms', case when e.retry_schedule is not null
                then to_jsonb(array(select extract(epoch from w) * 1000 from unnest(e.retry_schedule) w)) end,
              'timeout_ms', extract(epoch from e.timeout) * 1000, 'headers', e.headers, 'secrets', e.secrets) end as settings
          from webhook_endpoints e
          where e.id = any(ready) and e.paused_at is null
            and case e.breaker when 'closed' then e.in_flight < least(e.slots, coalesce(e.max_in_flight, cap)) else e.probe_at <= now() end
          order by e.id
          for update
        ),
        -- A dispatcher gives each endpoint a share of its slots at most: where some of many begin to hang, all at once and
        -- before anybody can know it, they do not hold all of them.
        fair as (
          select l.id, l.probe, l.slow, l.in_flight, l.used_at,
            least(l.quota, greatest(0, greatest(max_held / greatest(count(*) over (), held_endpoints), 4)
              - coalesce((held ->> l.id::text)::integer, 0))) as quota, l.settings
          from locked l
        ),
        shared as (
          select f.*, case when f.slow
              then least(f.quota, greatest(slow_budget / count(*) filter (where f.slow) over (), 1)) else f.quota end as share
          from fair f
        ),
        given as (
          select s.id, s.probe, s.slow, s.settings, case when s.slow
              then least(s.share, slow_budget + s.share
                - sum(s.share) filter (where s.slow) over (order by s.in_flight, s.used_at, s.id))
              else s.share end as quota
          from shared s
        ),
        due as materialized (
          select o.id, g.id as endpoint_id, g.probe, g.slow, g.quota, g.settings
          from (select * from given where given.quota > 0 order by given.id <= after, given.id) g
          cross join lateral (
            select p.id from webhook_outbox p
            where p.state = 'pending' and p.endpoint_id = g.id and p.next_attempt_at <= now()
            order by p.endpoint_id, p.next_attempt_at, p.id
            limit g.quota
            for update skip locked
          ) o
          limit max_rows
        )
        select array_agg(d.id), array_agg(d.endpoint_id), array_agg(d.probe), array_agg(d.slow), array_agg(d.quota::integer),
          array_agg(d.settings), (select bool_or(g.quota <= 0) from given g)
        into ids, owners, probes, slows, quotas, settings_of, shared_out
        from due d;
        crowded := crowded or shared_out;
      end if;

      if ids is not null then
        -- Where the batch is full before all had their turn, the next claim goes on behind the last of the ring's that had.
        if cardinality(ids) >= max_rows then
          next_after := coalesce(
            (select o.id from unnest(owners) o (id) where o.id > after and o.id = any(visited) order by o.id desc limit 1),
            next_after);
        end if;
        return query
          with taken as (
            update webhook_outbox o
            set state = 'delivering', attempts = least(o.attempts, 2147483646) + 1, lease_token = token,
              lease_until = now() + lease_ms * interval '1 ms'
            from unnest(ids, probes, slows, quotas, settings_of) t (id, probe, slow, quota, settings)
            where o.id = t.id
            returning o.id, o.event_id, o.event_type, o.url, o.payload, o.attempts, o.attempts_before, o.once,
              o.endpoint_id, o.project_id, t.settings, t.probe, t.slow, t.quota
          ),
          counted as (
            update webhook_endpoints e
            set in_flight = e.in_flight + t.rows,
              breaker = case e.breaker when 'closed' then 'closed' else 'probing' end,
              -- Where the probe's dispatcher dies, the next one has its turn after the lease.
              probe_at = case e.breaker when 'closed' then null else now() + lease_ms * interval '1 ms' end
            from (select o.id, count(*)::integer as rows from unnest(owners) o (id) group by o.id) t
            where e.id = t.id
          )
          select t.id, t.event_id, t.event_type, t.url, t.payload, t.attempts, t.attempts_before, t.once, token,
            t.endpoint_id,
            -- An endpoint's own secrets win over those of the project (see 0014_signing).
            case when p.secrets is null or jsonb_typeof(t.settings -> 'secrets') = 'array' then t.settings
              else coalesce(t.settings, '{}') || jsonb_build_object('secrets', p.secrets) end,
            t.probe, t.slow, t.quota, null::uuid, null::timestamptz, null::boolean
          from taken t left join webhook_project_secrets p on p.project_id = t.project_id;
      end if;

      -- The last row is no delivery: it says where the next claim goes on, and when there is more to do.
      id := null;
      return next;
    end `

async function createPause(db: Kysely<unknown>): Promise<void> {
  const path = await pinnedSearchPath(db)
  await sql`
    create function webhook_pause_endpoint(endpoint uuid, reason text) returns boolean
    language sql set search_path = ${path} as $$
      with known as (
        select e.url from webhook_endpoints e where e.id = endpoint
        union all
        (select split_part(split_part(o.url, '#', 1), '?', 1)
         from webhook_outbox o where o.state = 'pending' and o.endpoint_id = endpoint limit 1)
        limit 1
      ),
      paused as (
        insert into webhook_endpoints (id, url, paused_at, paused_reason) select endpoint, url, now(), reason from known
        on conflict (id) do update set paused_at = excluded.paused_at, paused_reason = excluded.paused_reason
        returning id
      )
      select exists (select from paused)
    $$`.execute(db)
  await sql`
    comment on function webhook_pause_endpoint(uuid, text) is
      'What is owed to the endpoint waits from now on; false where there is no such endpoint'`.execute(db)
  await sql`
    create function webhook_resume_endpoint(endpoint uuid) returns boolean
    language sql set search_path = ${path} as $$
      with resumed as (
        update webhook_endpoints
        -- Where it is being probed, that probe will tell.
        set paused_at = null, paused_reason = null, probe_at = case breaker when 'open' then now() else probe_at end
        where id = endpoint returning id
      ),
      woken as (select pg_notify(${sql.lit(channel)}, '') from resumed)
      select exists (select from resumed) and exists (select from woken)
    $$`.execute(db)
  await sql`
    comment on function webhook_resume_endpoint(uuid) is
      'What is owed to the endpoint flows again; an open breaker probes at once. False where there is no such endpoint'`.execute(
    db,
  )
}
