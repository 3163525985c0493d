import { type Kysely, sql } from 'kysely'
import { endpointUrl, inFlight } from './endpoint.ts'
import { pinnedSearchPath } from './search-path.ts'

const claimSignature = sql.raw(
  'webhook_claim(integer, double precision, integer, integer, integer, jsonb, uuid[], uuid[], uuid, integer, jsonb)',
)

/**
 * A function, because each of its statements sees what the one before it has locked: a count of what is in flight and the
 * rows taken under it in one snapshot would let two dispatchers fill the cap together. Its plans are made once, when the
 * tables may be empty: scans that only suit empty tables are switched off.
 */
export async function createClaim(db: Kysely<unknown>): Promise<void> {
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
      held jsonb, hanging uuid[], hot uuid[], after uuid, visits integer, marks jsonb)
    returns table (
      id bigint, event_id uuid, event_type text, url text, payload json, traceparent text, attempts integer, attempts_before integer,
      once boolean, lease_token uuid, endpoint_id uuid, settings jsonb, probe boolean, slow boolean, quota integer,
      next_after uuid, next_due_at timestamptz, crowded boolean, next_marks jsonb)
    language plpgsql set search_path = ${path} set enable_seqscan = off set enable_bitmapscan = off
      set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$${sql.raw(claimBody)}$$`.execute(
    db,
  )
  await sql`
    comment on function ${claimSignature} is
      'Takes what is due for a dispatcher, within the limits of each endpoint; for the dispatcher''s use only'`.execute(
    db,
  )
  await sql`
    revoke execute on function ${claimSignature} from public`.execute(db)
}

export async function dropClaim(db: Kysely<unknown>): Promise<void> {
  await sql`drop function ${claimSignature}`.execute(db)
  await sql`drop function webhook_due_endpoints(uuid, integer)`.execute(db)
}

// Of webhook_endpoints e and its webhook_claims c: what it has in flight, what it may have, and whether it may have more now.
const held = inFlight('e', 'c')
const room = 'least(e.slots, coalesce(e.max_in_flight, cap))'
const open = `case e.breaker when 'closed' then ${held} < ${room} else e.probe_at <= now() end`

const claimBody = `
    #variable_conflict use_column
    declare
      nowhere constant uuid := '00000000-0000-0000-0000-000000000000';
      token constant uuid := gen_random_uuid();
      pages_before constant bigint := pg_stat_get_xact_blocks_fetched('webhook_outbox'::regclass);
      littered boolean := true;
      visited uuid[];
      first_dues timestamptz[];
      waiting timestamptz;
      ready uuid[];
      known integer;
      candidates uuid[];
      ids bigint[];
      dues timestamptz[];
      owners uuid[];
      quotas integer[];
      probes boolean[];
      slows boolean[];
      settings_of jsonb[];
      held_endpoints constant bigint := (select count(*) from jsonb_object_keys(held));
      shared_out boolean;
    begin
      next_after := after;
      if marks is not null then
        select array_agg(m.key::uuid) into ready
        from jsonb_each(marks) m cross join lateral (
          select p.id from webhook_outbox p
          where p.state = 'pending' and p.endpoint_id = m.key::uuid and p.next_attempt_at <= now()
            and (p.next_attempt_at, p.id) > ((m.value ->> 0)::timestamptz, (m.value ->> 1)::bigint)
          order by p.endpoint_id, p.next_attempt_at, p.id limit 1
        ) due;
      else
        -- Who is owed something now: the next endpoints of the ring, which reaches everybody; and, so that they need not wait
        -- for their turn, those of the newest rows, and those of which the dispatcher knows that more was due.
        select array_agg(d.endpoint_id), array_agg(d.next_attempt_at), min(d.next_attempt_at) filter (where d.next_attempt_at > now()),
          array_agg(d.endpoint_id) filter (where d.next_attempt_at <= now())
        into visited, first_dues, waiting, ready
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
            -- Not "= 'pending'", with which a plan made for an empty table would read and sort all that waits.
            (select o.endpoint_id from (
              select p.endpoint_id, p.next_attempt_at from webhook_outbox p where p.state <> 'delivering' order by p.id desc limit 64
            ) o where o.next_attempt_at <= now())
            union all
            -- Not "where exists", which may become a join that reads all that waits.
            select h from unnest(hot) h cross join lateral (
              select p.id from webhook_outbox p where p.state = 'pending' and p.endpoint_id = h and p.next_attempt_at <= now()
              order by p.endpoint_id, p.next_attempt_at, p.id limit 1
            ) due
          ) n (endpoint_id);
        end if;
        next_due_at := waiting;
        -- To visit an endpoint takes a page or two, unless dead rows lie before its first. Not the time, which other work adds to:
        -- that of an endpoint which had nothing due would wait for the next look at everything.
        littered := pg_stat_get_xact_blocks_fetched('webhook_outbox'::regclass) - pages_before
          > 250 + 4 * coalesce(cardinality(visited), 0);
      end if;

      if ready is not null then
        select count(*) into known
        from webhook_endpoints e join webhook_claims c on c.endpoint_id = e.id where e.id = any(ready);
        if known < cardinality(ready) then
          insert into webhook_endpoints (id, url)
          select r.id, ${endpointUrl('o.url')}
          from unnest(ready) r (id) cross join lateral (
            select p.url from webhook_outbox p where p.state = 'pending' and p.endpoint_id = r.id
            order by p.endpoint_id, p.next_attempt_at, p.id limit 1) o
          -- In the same order everywhere: two claims that meet the same new endpoints would else wait for each other.
          order by r.id
          on conflict do nothing;
          insert into webhook_claims (endpoint_id, claimed)
          select e.id, e.settled from webhook_endpoints e where e.id = any(ready) order by e.id
          on conflict do nothing;
        end if;
        select least(next_due_at, min(e.probe_at) filter (where e.probe_at > now())),
          bool_or(e.breaker = 'closed' and ${held} >= ${room}),
          array_agg(e.id) filter (where ${open})
        into next_due_at, crowded, candidates
        from webhook_endpoints e join webhook_claims c on c.endpoint_id = e.id
        where e.id = any(ready) and e.paused_at is null;

        -- One claim at a time for each endpoint, in the order of their ids. What the others have claimed is seen by the next
        -- statement, and what is settled meanwhile only makes room: settling waits for no claim, and no claim for settling.
        perform from webhook_claims c where c.endpoint_id = any(candidates) order by c.endpoint_id for update;

        -- What the ring came to first is served first. Of the slow ones, which share what they may have, those that have
        -- least in flight and have waited longest are first: no few of them can keep the others from it.
        with open as materialized (
          select e.id, e.breaker <> 'closed' as probe, e.slow or e.id = any(hanging) as slow, ${held} as in_flight, e.used_at,
            case e.breaker when 'closed' then ${room} - ${held} else 1 end as quota,
            case when num_nonnulls(e.retry_schedule, e.timeout, e.headers, e.secrets) > 0 then jsonb_build_object(
              'retry_schedule_ms', case when e.retry_schedule is not null
                then to_jsonb(array(select extract(epoch from w) * 1000 from unnest(e.retry_schedule) w)) end,
              'timeout_ms', extract(epoch from e.timeout) * 1000, 'headers', e.headers, 'secrets', e.secrets) end as settings
          from webhook_endpoints e join webhook_claims c on c.endpoint_id = e.id
          where e.id = any(candidates) and e.paused_at is null and ${open}
        ),
        -- A dispatcher gives each endpoint a share of its slots at most: where some of many begin to hang, all at once and
        -- before anybody can know it, they do not hold all of them.
        fair as (
          select l.id, l.probe, l.slow, l.in_flight, l.used_at,
            least(l.quota, greatest(0, greatest(max_held / greatest(count(*) over (), held_endpoints), 4)
              - coalesce((held ->> l.id::text)::integer, 0))) as quota, l.settings
          from open l
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
          select o.id, o.next_attempt_at, g.id as endpoint_id, g.probe, g.slow, g.quota, g.settings
          from (
            select given.*, coalesce((marks -> given.id::text ->> 0)::timestamptz, '-infinity') as mark_due,
              coalesce((marks -> given.id::text ->> 1)::bigint, -9223372036854775808) as mark_id
            from given where given.quota > 0 order by given.id <= after, given.id
          ) g
          cross join lateral (
            select p.id, p.next_attempt_at from webhook_outbox p
            where p.state = 'pending' and p.endpoint_id = g.id and p.next_attempt_at <= now()
              and (p.next_attempt_at, p.id) > (g.mark_due, g.mark_id)
            order by p.endpoint_id, p.next_attempt_at, p.id
            limit g.quota
            for update skip locked
          ) o
          limit max_rows
        )
        select array_agg(d.id), array_agg(d.next_attempt_at), array_agg(d.endpoint_id), array_agg(d.probe), array_agg(d.slow), array_agg(d.quota::integer),
          array_agg(d.settings), (select bool_or(g.quota <= 0) from given g)
        into ids, dues, owners, probes, slows, quotas, settings_of, shared_out
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
            returning o.id, o.event_id, o.event_type, o.url, o.payload, o.traceparent, o.attempts, o.attempts_before, o.once,
              o.endpoint_id, o.project_id, t.settings, t.probe, t.slow, t.quota
          ),
          counted as (
            update webhook_claims c set claimed = c.claimed + t.rows
            from (select o.id, count(*) as rows from unnest(owners) o (id) group by o.id) t
            where c.endpoint_id = t.id
          ),
          probing as (
            -- Where the probe's dispatcher dies, the next one has its turn after the lease.
            update webhook_endpoints e set breaker = 'probing', probe_at = now() + lease_ms * interval '1 ms'
            from unnest(owners, probes) o (id, probe)
            where e.id = o.id and o.probe
          )
          select t.id, t.event_id, t.event_type, t.url, t.payload, t.traceparent, t.attempts, t.attempts_before, t.once, token,
            t.endpoint_id,
            -- An endpoint's own secrets win over those of the project (see 0014_signing).
            case when p.secrets is null or jsonb_typeof(t.settings -> 'secrets') = 'array' then t.settings
              else coalesce(t.settings, '{}') || jsonb_build_object('secrets', p.secrets) end,
            t.probe, t.slow, t.quota, null::uuid, null::timestamptz, null::boolean, null::jsonb
          from taken t left join webhook_project_secrets p on p.project_id = t.project_id;
      end if;

      if littered then
        -- Of what commits late, a second's worth is still looked at.
        with reached (endpoint_id, due, id) as (
          select distinct on (m.endpoint_id) m.endpoint_id, m.due, m.id
          from (
            select v.endpoint_id, v.due, 0 from unnest(visited, first_dues) v (endpoint_id, due)
            union all select t.endpoint_id, t.due, t.id from unnest(owners, dues, ids) t (endpoint_id, due, id)
          ) m (endpoint_id, due, id)
          order by m.endpoint_id, m.due desc, m.id desc
        )
        select jsonb_object_agg(r.endpoint_id, jsonb_build_array(
          least(r.due, now() - interval '1 second'),
          case when r.due < now() - interval '1 second' then r.id else 0 end::text))
        into next_marks from reached r;
        next_marks := coalesce(next_marks, '{}');
      end if;

      -- The last row is no delivery: it says where the next claim goes on, and when there is more to do.
      id := null;
      return next;
    end `
