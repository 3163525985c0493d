--
-- PostgreSQL database dump
--

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: webhook_completed_data; Type: TYPE; Schema: public; Owner: -
--

CREATE TYPE public.webhook_completed_data AS (
	result text,
	duration_seconds numeric,
	output_summary text
);

--
-- Name: TYPE webhook_completed_data; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TYPE public.webhook_completed_data IS 'The data of task.completed';

--
-- Name: webhook_failed_data; Type: TYPE; Schema: public; Owner: -
--

CREATE TYPE public.webhook_failed_data AS (
	error text,
	retry_count bigint,
	max_retries bigint
);

--
-- Name: TYPE webhook_failed_data; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TYPE public.webhook_failed_data IS 'The data of task.failed';

--
-- Name: webhook_task_body; Type: TYPE; Schema: public; Owner: -
--

CREATE TYPE public.webhook_task_body AS (
	event_type text,
	"timestamp" text,
	entity_type text,
	entity_id text,
	project_id text,
	ticket_id text,
	task_id text,
	agent_id text,
	data json
);

--
-- Name: TYPE webhook_task_body; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TYPE public.webhook_task_body IS 'The body of task.completed and task.failed';

--
-- Name: webhook_capture_stuck_agent(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_capture_stuck_agent() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
    begin
      insert into "public"."webhook_outbox"
        (event_type, entity_type, entity_id, project_id, ticket_id, task_id, agent_id, url, payload, traceparent)
      select e.event_type, 'agent', e.entity_id, e.project_id, e.ticket_id, e.task_id, e.agent_id,
        e.url, e.payload, case when pg_catalog.current_setting('webhook.traceparent', true) operator(pg_catalog.~~) '00-________________________________-________________-__' collate pg_catalog."C"
          then case when pg_catalog.translate(pg_catalog.current_setting('webhook.traceparent', true) collate pg_catalog."C", '0123456789abcdef', '') operator(pg_catalog.=) '---'
          then pg_catalog.current_setting('webhook.traceparent', true) end end
      from "public"."webhook_stuck_event"(new) e;
      if found then
        if not pg_catalog.pg_try_advisory_xact_lock_shared(
          2003332975, '"public".webhook_outbox'::pg_catalog.regclass::pg_catalog.oid::pg_catalog.int4) then
          perform pg_catalog.pg_notify('webhook_outbox', '');
        end if;
      end if;
      return null;
    end $$;

--
-- Name: FUNCTION webhook_capture_stuck_agent(); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_capture_stuck_agent() IS 'Writes the events of a stuck agent to webhook_outbox, in the transaction that opens the episode';

--
-- Name: webhook_capture_task(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_capture_task() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
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
      from "public"."webhook_task_event"(new) t;
      if e.url is not null then
        if e.completed then
          e.event_type := 'task.completed';
          e.payload := "public"."webhook_completed_body"(new, e.entity_id, e.project_id, e.ticket_id, e.agent_id);
        else
          e.event_type := 'task.failed';
          e.payload := "public"."webhook_failed_body"(new, e.entity_id, e.project_id, e.ticket_id, e.agent_id);
        end if;
        insert into "public"."webhook_outbox"
        (event_type, entity_type, entity_id, project_id, ticket_id, task_id, agent_id, url, payload, traceparent)
      select e.event_type, 'task', e.entity_id, e.project_id, e.ticket_id, e.entity_id, e.agent_id,
        e.url, e.payload, case when pg_catalog.current_setting('webhook.traceparent', true) operator(pg_catalog.~~) '00-________________________________-________________-__' collate pg_catalog."C"
          then case when pg_catalog.translate(pg_catalog.current_setting('webhook.traceparent', true) collate pg_catalog."C", '0123456789abcdef', '') operator(pg_catalog.=) '---'
          then pg_catalog.current_setting('webhook.traceparent', true) end end;
        if not pg_catalog.pg_try_advisory_xact_lock_shared(
          2003332975, '"public".webhook_outbox'::pg_catalog.regclass::pg_catalog.oid::pg_catalog.int4) then
          perform pg_catalog.pg_notify('webhook_outbox', '');
        end if;
      end if;
      return null;
    end $$;

--
-- Name: FUNCTION webhook_capture_task(); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_capture_task() IS 'Writes the event of a task that completed or failed to webhook_outbox, in the transaction of the change';

--
-- Name: webhook_claim(integer, double precision, integer, integer, integer, jsonb, uuid[], uuid[], uuid, integer, jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_claim(max_rows integer, lease_ms double precision, max_held integer, cap integer, slow_budget integer, held jsonb, hanging uuid[], hot uuid[], after uuid, visits integer, marks jsonb) RETURNS TABLE(id bigint, event_id uuid, event_type text, url text, payload json, traceparent text, attempts integer, attempts_before integer, once boolean, lease_token uuid, endpoint_id uuid, settings jsonb, probe boolean, slow boolean, quota integer, next_after uuid, next_due_at timestamp with time zone, crowded boolean, next_marks jsonb)
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
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
          select r.id, split_part(split_part(o.url, '#', 1), '?', 1)
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
          bool_or(e.breaker = 'closed' and greatest(c.claimed - e.settled, 0)::integer >= least(e.slots, coalesce(e.max_in_flight, cap))),
          array_agg(e.id) filter (where case e.breaker when 'closed' then greatest(c.claimed - e.settled, 0)::integer < least(e.slots, coalesce(e.max_in_flight, cap)) else e.probe_at <= now() end)
        into next_due_at, crowded, candidates
        from webhook_endpoints e join webhook_claims c on c.endpoint_id = e.id
        where e.id = any(ready) and e.paused_at is null;

        -- One claim at a time for each endpoint, in the order of their ids. What the others have claimed is seen by the next
        -- statement, and what is settled meanwhile only makes room: settling waits for no claim, and no claim for settling.
        perform from webhook_claims c where c.endpoint_id = any(candidates) order by c.endpoint_id for update;

        -- What the ring came to first is served first. Of the slow ones, which share what they may have, those that have
        -- least in flight and have waited longest are first: no few of them can keep the others from it.
        with open as materialized (
          select e.id, e.breaker <> 'closed' as probe, e.slow or e.id = any(hanging) as slow, greatest(c.claimed - e.settled, 0)::integer as in_flight, e.used_at,
            case e.breaker when 'closed' then least(e.slots, coalesce(e.max_in_flight, cap)) - greatest(c.claimed - e.settled, 0)::integer else 1 end as quota,
            case when num_nonnulls(e.retry_schedule, e.timeout, e.headers, e.secrets) > 0 then jsonb_build_object(
              'retry_schedule_ms', case when e.retry_schedule is not null
                then to_jsonb(array(select extract(epoch from w) * 1000 from unnest(e.retry_schedule) w)) end,
              'timeout_ms', extract(epoch from e.timeout) * 1000, 'headers', e.headers, 'secrets', e.secrets) end as settings
          from webhook_endpoints e join webhook_claims c on c.endpoint_id = e.id
          where e.id = any(candidates) and e.paused_at is null and case e.breaker when 'closed' then greatest(c.claimed - e.settled, 0)::integer < least(e.slots, coalesce(e.max_in_flight, cap)) else e.probe_at <= now() end
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
    end $$;

--
-- Name: FUNCTION webhook_claim(max_rows integer, lease_ms double precision, max_held integer, cap integer, slow_budget integer, held jsonb, hanging uuid[], hot uuid[], after uuid, visits integer, marks jsonb); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_claim(max_rows integer, lease_ms double precision, max_held integer, cap integer, slow_budget integer, held jsonb, hanging uuid[], hot uuid[], after uuid, visits integer, marks jsonb) IS 'Takes what is due for a dispatcher, within the limits of each endpoint; for the dispatcher''s use only';

--
-- Name: webhook_text(text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_text(value text) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN (char_length(value) > 4000) THEN ("left"(value, 3988) || '…[truncated]'::text) ELSE value END;

--
-- Name: FUNCTION webhook_text(value text); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_text(value text) IS 'A text as payloads carry it: at most 4,000 characters';

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: tasks; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.tasks (
    id text DEFAULT (gen_random_uuid())::text NOT NULL,
    ticket_id text,
    title text,
    status text DEFAULT 'pending'::text NOT NULL,
    assigned_agent_id text,
    result jsonb,
    error_message text,
    retry_count integer DEFAULT 0 NOT NULL,
    max_retries integer DEFAULT 3 NOT NULL,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

--
-- Name: webhook_completed_body(public.tasks, text, text, text, text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_completed_body(task public.tasks, entity_id text, project_id text, ticket_id text, agent_id text) RETURNS json
    LANGUAGE sql
    RETURN row_to_json(ROW('task.completed'::text, to_char((clock_timestamp() AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'::text), 'task'::text, entity_id, project_id, ticket_id, entity_id, agent_id, row_to_json(ROW(CASE WHEN (jsonb_typeof(((task).result -> 'result'::text)) = 'string'::text) THEN public.webhook_text(((task).result ->> 'result'::text)) ELSE 'success'::text END, CASE WHEN (isfinite((task).completed_at) AND isfinite((task).started_at)) THEN trunc((EXTRACT(epoch FROM (task).completed_at) - EXTRACT(epoch FROM (task).started_at))) ELSE NULL::numeric END, CASE WHEN (jsonb_typeof(((task).result -> 'output_summary'::text)) = 'string'::text) THEN public.webhook_text(((task).result ->> 'output_summary'::text)) ELSE NULL::text END)::public.webhook_completed_data))::public.webhook_task_body);

--
-- Name: FUNCTION webhook_completed_body(task public.tasks, entity_id text, project_id text, ticket_id text, agent_id text); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_completed_body(task public.tasks, entity_id text, project_id text, ticket_id text, agent_id text) IS 'The body of task.completed';

--
-- Name: webhook_confirm_installation(text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_confirm_installation(name text) RETURNS void
    LANGUAGE sql
    SET search_path TO 'public', 'pg_temp'
    AS $$
      delete from webhook_installation where webhook_confirm_installation.name is null;
      insert into webhook_installation (name)
      select webhook_confirm_installation.name where webhook_confirm_installation.name is not null
      on conflict ((true)) do update set name = excluded.name, stored_at = clock_timestamp();
    $$;

--
-- Name: FUNCTION webhook_confirm_installation(name text); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_confirm_installation(name text) IS 'From now on services under this name send the events of this database, and no others; null: the name is forgotten, and services without one send again';

--
-- Name: webhook_count_claims(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_count_claims() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      insert into webhook_claims (endpoint_id, claimed) values (new.id, new.settled)
      on conflict (endpoint_id) do update set claimed = excluded.claimed;
      return null;
    end $$;

--
-- Name: FUNCTION webhook_count_claims(); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_count_claims() IS 'Counts the claims of a new endpoint from nothing in flight';

--
-- Name: webhook_create_partitions(integer); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_create_partitions(days_ahead integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS $_$
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
      foreach parent in array array['webhook_history_delivered', 'webhook_history_dead', 'webhook_attempts_ok', 'webhook_attempts_failed'] loop
        key := case when parent like 'webhook\_history\_%' then 'settled_at' else 'started_at' end;
        for day in select d::date from generate_series(current_date, current_date + days_ahead, interval '1 day') d loop
          name := parent || '_' || to_char(day, 'YYYYMMDD');
          continue when to_regclass(quote_ident(name)) is not null;
          bounds := format('%I >= %L and %1$I < %3$L', key, day::timestamptz, (day + 1)::timestamptz);
          execute format('create table %I (like %I including defaults including constraints including generated)', name, parent);
          if parent like 'webhook\_attempts\_%' then
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
    end $_$;

--
-- Name: FUNCTION webhook_create_partitions(days_ahead integer); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_create_partitions(days_ahead integer) IS 'Makes the daily partitions that are missing from today to so many days ahead; returns how many it made';

--
-- Name: webhook_discard(uuid, text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_discard(event_id uuid, reason text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
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
    end $$;

--
-- Name: FUNCTION webhook_discard(event_id uuid, reason text); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_discard(event_id uuid, reason text) IS 'Gives up an event that is owed and not in flight, with a reason. Refuses what is in flight or settled (WH409) and what is not kept (WH404)';

--
-- Name: webhook_discard_events(uuid[], text, timestamp with time zone); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_discard_events(events uuid[], reason text, owed_until timestamp with time zone) RETURNS TABLE(event_id uuid, outcome text)
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
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
    end $$;

--
-- Name: FUNCTION webhook_discard_events(events uuid[], reason text, owed_until timestamp with time zone); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_discard_events(events uuid[], reason text, owed_until timestamp with time zone) IS 'Gives up those of the events that are owed and were not replayed after then, and says what became of each: discarded, in_flight, settled, replayed_since or gone';

--
-- Name: webhook_drop_expired_partition(interval, interval); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_drop_expired_partition(delivered interval, dead interval) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS $$
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
    end $$;

--
-- Name: FUNCTION webhook_drop_expired_partition(delivered interval, dead interval); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_drop_expired_partition(delivered interval, dead interval) IS 'Drops the oldest partition that is past its retention and returns its name; null when none is left';

--
-- Name: webhook_outbox; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_outbox (
    id bigint NOT NULL,
    event_id uuid DEFAULT gen_random_uuid() NOT NULL,
    event_type text NOT NULL,
    entity_type text NOT NULL,
    entity_id text NOT NULL,
    project_id text,
    ticket_id text,
    task_id text,
    agent_id text,
    url text NOT NULL,
    payload json NOT NULL,
    state text DEFAULT 'pending'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    lease_token uuid,
    lease_until timestamp with time zone,
    last_status integer,
    last_error text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    attempts_before integer DEFAULT 0 NOT NULL,
    once boolean DEFAULT false NOT NULL,
    replayed_at timestamp with time zone,
    traceparent text,
    endpoint_id uuid GENERATED ALWAYS AS ((md5(split_part(split_part(url, '#'::text, 1), '?'::text, 1)))::uuid) STORED NOT NULL,
    CONSTRAINT webhook_outbox_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'delivering'::text])))
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='5000', autovacuum_vacuum_insert_scale_factor='0', autovacuum_vacuum_insert_threshold='100000', autovacuum_analyze_scale_factor='0', autovacuum_analyze_threshold='20000');

--
-- Name: TABLE webhook_outbox; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_outbox IS 'What is still owed: events that committed and are neither delivered nor given up. Retry at once: update webhook_outbox set next_attempt_at = now() where …';

--
-- Name: COLUMN webhook_outbox.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.id IS 'Order of insertion, and not of commit';

--
-- Name: COLUMN webhook_outbox.event_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.event_id IS 'The webhook-id that receivers deduplicate on: the same on every attempt and replay';

--
-- Name: COLUMN webhook_outbox.event_type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.event_type IS 'task.completed, task.failed, agent.stuck, endpoint.failing or endpoint.recovered';

--
-- Name: COLUMN webhook_outbox.entity_type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.entity_type IS 'What the event is about: task, agent or endpoint';

--
-- Name: COLUMN webhook_outbox.entity_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.entity_id IS 'Id of the task, agent or endpoint that the event is about';

--
-- Name: COLUMN webhook_outbox.project_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.project_id IS 'Project of the ticket, null where it has none';

--
-- Name: COLUMN webhook_outbox.ticket_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.ticket_id IS 'Ticket of the task';

--
-- Name: COLUMN webhook_outbox.task_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.task_id IS 'Task that changed, or that the stuck agent holds';

--
-- Name: COLUMN webhook_outbox.agent_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.agent_id IS 'Agent that the task was assigned to, or that is stuck';

--
-- Name: COLUMN webhook_outbox.url; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.url IS 'Where it is sent: the URL of the ticket where it has one, else of the project; of news of endpoints, OPERATOR_WEBHOOK_URL';

--
-- Name: COLUMN webhook_outbox.payload; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.payload IS 'The body: the exact bytes that are sent';

--
-- Name: COLUMN webhook_outbox.state; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.state IS 'pending: waits for next_attempt_at; delivering: leased to a dispatcher until lease_until';

--
-- Name: COLUMN webhook_outbox.attempts; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.attempts IS 'Attempts begun, counted before the POST';

--
-- Name: COLUMN webhook_outbox.next_attempt_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.next_attempt_at IS 'Not sent before this time';

--
-- Name: COLUMN webhook_outbox.lease_token; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.lease_token IS 'Fence: only the dispatcher that holds this token may settle the row';

--
-- Name: COLUMN webhook_outbox.lease_until; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.lease_until IS 'When the lease ends, and the row is due again';

--
-- Name: COLUMN webhook_outbox.last_status; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.last_status IS 'HTTP status of the last attempt, null where there was no answer';

--
-- Name: COLUMN webhook_outbox.last_error; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.last_error IS 'Why the last attempt did not deliver';

--
-- Name: COLUMN webhook_outbox.created_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.created_at IS 'When the change was made, by the clock of the database';

--
-- Name: COLUMN webhook_outbox.attempts_before; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.attempts_before IS 'Attempts that the retry schedule does not count: those before a replay, or handed back at a shutdown';

--
-- Name: COLUMN webhook_outbox.once; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.once IS 'Tried once and not retried: a dead event that was brought back to see whether its endpoint has recovered';

--
-- Name: COLUMN webhook_outbox.replayed_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.replayed_at IS 'When an operator replayed it last: it is owed since then; null where nobody did';

--
-- Name: COLUMN webhook_outbox.traceparent; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.traceparent IS 'Trace of the change, sent as the header of this name: webhook.traceparent of its writer; null where that set none';

--
-- Name: COLUMN webhook_outbox.endpoint_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_outbox.endpoint_id IS 'Endpoint: the URL without query and fragment, hashed';

--
-- Name: webhook_due_endpoints(uuid, integer); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_due_endpoints(after uuid, visits integer) RETURNS TABLE(endpoint_id uuid, next_attempt_at timestamp with time zone)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 WITH RECURSIVE ring(endpoint_id, next_attempt_at, visit) AS (
         ( SELECT o.endpoint_id,
             o.next_attempt_at,
             1 AS "?column?"
            FROM public.webhook_outbox o
           WHERE ((o.state = 'pending'::text) AND (o.endpoint_id > webhook_due_endpoints.after))
           ORDER BY o.endpoint_id, o.next_attempt_at, o.id
          LIMIT 1)
         UNION ALL
          SELECT o.endpoint_id,
             o.next_attempt_at,
             (ring_1.visit + 1)
            FROM (ring ring_1
              CROSS JOIN LATERAL ( SELECT n.endpoint_id,
                     n.next_attempt_at
                    FROM public.webhook_outbox n
                   WHERE ((n.state = 'pending'::text) AND (n.endpoint_id > ring_1.endpoint_id))
                   ORDER BY n.endpoint_id, n.next_attempt_at, n.id
                  LIMIT 1) o)
           WHERE (ring_1.visit < webhook_due_endpoints.visits)
         )
  SELECT ring.endpoint_id,
     ring.next_attempt_at
    FROM ring;
END;

--
-- Name: FUNCTION webhook_due_endpoints(after uuid, visits integer); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_due_endpoints(after uuid, visits integer) IS 'The next endpoints that are owed something, in the order of their ids, each with the time of its first event';

--
-- Name: agent_stuck_episodes; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.agent_stuck_episodes (
    agent_id text NOT NULL,
    reason text DEFAULT 'unspecified'::text NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended_at timestamp with time zone
);

ALTER TABLE ONLY public.agent_stuck_episodes REPLICA IDENTITY FULL;

--
-- Name: TABLE agent_stuck_episodes; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.agent_stuck_episodes IS 'When agents were stuck: at most one open episode an agent. An insert is the detection, and captures agent.stuck for each task that the agent holds';

--
-- Name: COLUMN agent_stuck_episodes.agent_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.agent_stuck_episodes.agent_id IS 'The agent';

--
-- Name: COLUMN agent_stuck_episodes.reason; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.agent_stuck_episodes.reason IS 'no_heartbeat, or what an analysis found';

--
-- Name: COLUMN agent_stuck_episodes.started_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.agent_stuck_episodes.started_at IS 'When it was detected';

--
-- Name: COLUMN agent_stuck_episodes.ended_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.agent_stuck_episodes.ended_at IS 'When it ended, null while it lasts: by a heartbeat for no_heartbeat, by hand, or when the agent holds no task any more';

--
-- Name: agents; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.agents (
    id text DEFAULT (gen_random_uuid())::text NOT NULL,
    agent_type text,
    status text DEFAULT 'idle'::text NOT NULL,
    last_heartbeat timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

--
-- Name: webhook_end_missing_heartbeat(public.agents); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_end_missing_heartbeat(agent public.agents) RETURNS void
    LANGUAGE sql
    BEGIN ATOMIC
 UPDATE public.agent_stuck_episodes SET ended_at = clock_timestamp()
   WHERE ((agent_stuck_episodes.agent_id = (webhook_end_missing_heartbeat.agent).id) AND (agent_stuck_episodes.ended_at IS NULL) AND (agent_stuck_episodes.reason = 'no_heartbeat'::text));
END;

--
-- Name: FUNCTION webhook_end_missing_heartbeat(agent public.agents); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_end_missing_heartbeat(agent public.agents) IS 'Ends the open episode for want of a heartbeat of an agent that gave one';

--
-- Name: webhook_failed_body(public.tasks, text, text, text, text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_failed_body(task public.tasks, entity_id text, project_id text, ticket_id text, agent_id text) RETURNS json
    LANGUAGE sql
    RETURN row_to_json(ROW('task.failed'::text, to_char((clock_timestamp() AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'::text), 'task'::text, entity_id, project_id, ticket_id, entity_id, agent_id, row_to_json(ROW(public.webhook_text((task).error_message), ((task).retry_count)::bigint, ((task).max_retries)::bigint)::public.webhook_failed_data))::public.webhook_task_body);

--
-- Name: FUNCTION webhook_failed_body(task public.tasks, entity_id text, project_id text, ticket_id text, agent_id text); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_failed_body(task public.tasks, entity_id text, project_id text, ticket_id text, agent_id text) IS 'The body of task.failed';

--
-- Name: webhook_heartbeat(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_heartbeat() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
    begin
      perform "public"."webhook_end_missing_heartbeat"(new);
      return null;
    end $$;

--
-- Name: FUNCTION webhook_heartbeat(); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_heartbeat() IS 'Ends the episode for want of a heartbeat when one arrives';

--
-- Name: projects; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.projects (
    id text DEFAULT (gen_random_uuid())::text NOT NULL,
    name text,
    status text DEFAULT 'active'::text NOT NULL,
    webhook_url character varying(2048),
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

--
-- Name: tickets; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.tickets (
    id text DEFAULT (gen_random_uuid())::text NOT NULL,
    project_id text,
    title text,
    status text DEFAULT 'open'::text NOT NULL,
    webhook_url character varying(2048),
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

--
-- Name: webhook_history; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_history (
    event_id uuid NOT NULL,
    event_type text NOT NULL,
    entity_type text NOT NULL,
    entity_id text NOT NULL,
    project_id text,
    ticket_id text,
    task_id text,
    agent_id text,
    url text NOT NULL,
    payload json NOT NULL,
    outcome text NOT NULL,
    attempts integer NOT NULL,
    last_status integer,
    last_error text,
    created_at timestamp with time zone NOT NULL,
    settled_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    recoverable boolean DEFAULT false NOT NULL,
    traceparent text,
    endpoint_id uuid GENERATED ALWAYS AS ((md5(split_part(split_part(url, '#'::text, 1), '?'::text, 1)))::uuid) STORED NOT NULL,
    CONSTRAINT webhook_history_outcome_check CHECK ((outcome = ANY (ARRAY['delivered'::text, 'dead'::text, 'discarded'::text])))
)
PARTITION BY LIST (outcome);

--
-- Name: TABLE webhook_history; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_history IS 'What is settled: delivered, or given up with its reason; by day, dropped after its retention';

--
-- Name: COLUMN webhook_history.event_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_history.event_id IS 'The webhook-id that receivers deduplicate on: the same on every attempt and replay';

--
-- Name: COLUMN webhook_history.event_type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_history.event_type IS 'task.completed, task.failed, agent.stuck, endpoint.failing or endpoint.recovered';

--
-- Name: COLUMN webhook_history.entity_type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_history.entity_type IS 'What the event is about: task, agent or endpoint';

--
-- Name: COLUMN webhook_history.entity_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_history.entity_id IS 'Id of the task, agent or endpoint that the event is about';

--
-- Name: COLUMN webhook_history.project_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_history.project_id IS 'Project of the ticket, null where it has none';

--
-- Name: COLUMN webhook_history.ticket_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_history.ticket_id IS 'Ticket of the task';

--
-- Name: COLUMN webhook_history.task_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_history.task_id IS 'Task that changed, or that the stuck agent holds';

--
-- Name: COLUMN webhook_history.agent_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_history.agent_id IS 'Agent that the task was assigned to, or that is stuck';

--
-- Name: COLUMN webhook_history.url; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_history.url IS 'Where it is sent: the URL of the ticket where it has one, else of the project; of news of endpoints, OPERATOR_WEBHOOK_URL';

--
-- Name: COLUMN webhook_history.payload; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_history.payload IS 'The body: the exact bytes that are sent';

--
-- Name: COLUMN webhook_history.outcome; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_history.outcome IS 'delivered; dead: failed for good; discarded: given up by an operator or by age';

--
-- Name: COLUMN webhook_history.attempts; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_history.attempts IS 'Attempts begun in all';

--
-- Name: COLUMN webhook_history.last_status; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_history.last_status IS 'HTTP status of the last attempt, null where there was no answer';

--
-- Name: COLUMN webhook_history.last_error; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_history.last_error IS 'Why it was given up, or why the attempt before the last failed';

--
-- Name: COLUMN webhook_history.created_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_history.created_at IS 'When the change was made, by the clock of the database';

--
-- Name: COLUMN webhook_history.settled_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_history.settled_at IS 'When it was delivered or given up';

--
-- Name: COLUMN webhook_history.recoverable; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_history.recoverable IS 'Died of 5xx, timeouts or network errors: brought back when its endpoint answers again';

--
-- Name: COLUMN webhook_history.traceparent; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_history.traceparent IS 'Trace of the change, sent as the header of this name: webhook.traceparent of its writer; null where that set none';

--
-- Name: COLUMN webhook_history.endpoint_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_history.endpoint_id IS 'Endpoint: the URL without query and fragment, hashed';

--
-- Name: webhook_move_projects(public.projects); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_move_projects(changed public.projects) RETURNS void
    LANGUAGE sql
    BEGIN ATOMIC
 WITH owed AS MATERIALIZED (
          SELECT o.id,
             NULLIF(((webhook_move_projects.changed).webhook_url)::text, ''::text) AS url
            FROM (public.webhook_outbox o
              LEFT JOIN public.tickets ticket ON ((ticket.id = o.ticket_id)))
           WHERE ((o.project_id = (webhook_move_projects.changed).id) AND (o.state = 'pending'::text) AND (NULLIF((ticket.webhook_url)::text, ''::text) IS NULL))
           ORDER BY o.id
          FOR UPDATE OF o
         ), moved AS (
          UPDATE public.webhook_outbox o SET url = n.url
            FROM owed n
           WHERE ((o.id = n.id) AND (n.url IS NOT NULL) AND (o.url <> n.url))
         ), removed AS (
          DELETE FROM public.webhook_outbox o
            USING owed n
           WHERE ((o.id = n.id) AND (n.url IS NULL))
           RETURNING o.id,
             o.event_id,
             o.event_type,
             o.entity_type,
             o.entity_id,
             o.project_id,
             o.ticket_id,
             o.task_id,
             o.agent_id,
             o.url,
             o.payload,
             o.state,
             o.attempts,
             o.next_attempt_at,
             o.lease_token,
             o.lease_until,
             o.last_status,
             o.last_error,
             o.created_at,
             o.attempts_before,
             o.once,
             o.replayed_at,
             o.traceparent,
             o.endpoint_id
         )
  INSERT INTO public.webhook_history (event_id, event_type, entity_type, entity_id, project_id, ticket_id, task_id, agent_id, url, payload, traceparent, outcome, attempts, last_status, last_error, created_at)  SELECT removed.event_id,
             removed.event_type,
             removed.entity_type,
             removed.entity_id,
             removed.project_id,
             removed.ticket_id,
             removed.task_id,
             removed.agent_id,
             removed.url,
             removed.payload,
             removed.traceparent,
             'discarded',
             removed.attempts,
             removed.last_status,
             'url_removed',
             removed.created_at
            FROM removed;
END;

--
-- Name: FUNCTION webhook_move_projects(changed public.projects); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_move_projects(changed public.projects) IS 'Moves what is owed to the URL that now applies, or discards it where none does';

--
-- Name: webhook_move_tickets(public.tickets); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_move_tickets(changed public.tickets) RETURNS void
    LANGUAGE sql
    BEGIN ATOMIC
 WITH owed AS MATERIALIZED (
          SELECT o.id,
             COALESCE(NULLIF(((webhook_move_tickets.changed).webhook_url)::text, ''::text), NULLIF((project.webhook_url)::text, ''::text)) AS url
            FROM (public.webhook_outbox o
              LEFT JOIN public.projects project ON ((project.id = (webhook_move_tickets.changed).project_id)))
           WHERE ((o.ticket_id = (webhook_move_tickets.changed).id) AND (o.state = 'pending'::text))
           ORDER BY o.id
          FOR UPDATE OF o
         ), moved AS (
          UPDATE public.webhook_outbox o SET url = n.url
            FROM owed n
           WHERE ((o.id = n.id) AND (n.url IS NOT NULL) AND (o.url <> n.url))
         ), removed AS (
          DELETE FROM public.webhook_outbox o
            USING owed n
           WHERE ((o.id = n.id) AND (n.url IS NULL))
           RETURNING o.id,
             o.event_id,
             o.event_type,
             o.entity_type,
             o.entity_id,
             o.project_id,
             o.ticket_id,
             o.task_id,
             o.agent_id,
             o.url,
             o.payload,
             o.state,
             o.attempts,
             o.next_attempt_at,
             o.lease_token,
             o.lease_until,
             o.last_status,
             o.last_error,
             o.created_at,
             o.attempts_before,
             o.once,
             o.replayed_at,
             o.traceparent,
             o.endpoint_id
         )
  INSERT INTO public.webhook_history (event_id, event_type, entity_type, entity_id, project_id, ticket_id, task_id, agent_id, url, payload, traceparent, outcome, attempts, last_status, last_error, created_at)  SELECT removed.event_id,
             removed.event_type,
             removed.entity_type,
             removed.entity_id,
             removed.project_id,
             removed.ticket_id,
             removed.task_id,
             removed.agent_id,
             removed.url,
             removed.payload,
             removed.traceparent,
             'discarded',
             removed.attempts,
             removed.last_status,
             'url_removed',
             removed.created_at
            FROM removed;
END;

--
-- Name: FUNCTION webhook_move_tickets(changed public.tickets); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_move_tickets(changed public.tickets) IS 'Moves what is owed to the URL that now applies, or discards it where none does';

--
-- Name: webhook_pause_endpoint(uuid, text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_pause_endpoint(endpoint uuid, reason text) RETURNS boolean
    LANGUAGE sql
    SET search_path TO 'public', 'pg_temp'
    AS $$
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
    $$;

--
-- Name: FUNCTION webhook_pause_endpoint(endpoint uuid, reason text); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_pause_endpoint(endpoint uuid, reason text) IS 'What is owed to the endpoint waits from now on; false where there is no such endpoint';

--
-- Name: webhook_replay(uuid); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_replay(event_id uuid) RETURNS uuid
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
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
    end $$;

--
-- Name: FUNCTION webhook_replay(event_id uuid); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_replay(event_id uuid) IS 'Delivers a settled event again, under the same event_id, to the URL that is configured now; returns the endpoint. Refuses what is owed (WH409), what has no URL (WH409) and what is not kept (WH404)';

--
-- Name: webhook_replay_events(uuid[], timestamp with time zone); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_replay_events(events uuid[], settled_until timestamp with time zone) RETURNS TABLE(event_id uuid, endpoint_id uuid, outcome text)
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
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
        perform pg_notify('webhook_outbox', '');
      end if;
      return query select * from unnest(found, endpoints, outcomes);
      -- What is in the history by now was owed a moment ago.
      return query select w.id, null::uuid, case
          when exists (select from webhook_outbox o where o.event_id = w.id)
            or exists (select from webhook_history h where h.event_id = w.id) then 'owed'
          else 'gone' end
        from unnest(events) w (id) where w.id <> all(coalesce(found, '{}'));
    end $$;

--
-- Name: FUNCTION webhook_replay_events(events uuid[], settled_until timestamp with time zone); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_replay_events(events uuid[], settled_until timestamp with time zone) IS 'Replays those of the events that were settled until then, and says what became of each: replayed, no_url, owed, settled_since or gone';

--
-- Name: webhook_resume_endpoint(uuid); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_resume_endpoint(endpoint uuid) RETURNS boolean
    LANGUAGE sql
    SET search_path TO 'public', 'pg_temp'
    AS $$
      with resumed as (
        update webhook_endpoints
        -- Where it is being probed, that probe will tell.
        set paused_at = null, paused_reason = null, probe_at = case breaker when 'open' then now() else probe_at end
        where id = endpoint returning id
      ),
      woken as (select pg_notify('webhook_outbox', '') from resumed)
      select exists (select from resumed) and exists (select from woken)
    $$;

--
-- Name: FUNCTION webhook_resume_endpoint(endpoint uuid); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_resume_endpoint(endpoint uuid) IS 'What is owed to the endpoint flows again; an open breaker probes at once. False where there is no such endpoint';

--
-- Name: webhook_settle(bigint[], uuid[], text[], boolean[], double precision[], timestamp with time zone[], integer[], integer[], text[], text[], boolean[], boolean[], integer, text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_settle(ids bigint[], tokens uuid[], kinds text[], probes boolean[], waits_ms double precision[], starts timestamp with time zone[], durations_ms integer[], statuses integer[], errors text[], responses text[], recoverables boolean[], pauses boolean[], per_endpoint integer, operator_url text) RETURNS TABLE(id bigint, owed_ms double precision, endpoint_id uuid, url text, turn text, error text)
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $_$
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
        returning o.*, s.kind, s.probe, s.started_at, s.duration_ms, s.status, s.error, s.response, s.recoverable, s.pause, s.n
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
        returning o.id, o.event_id, o.endpoint_id, o.attempts, s.kind, s.probe, s.started_at, s.duration_ms, s.status, s.error, s.response, s.recoverable, s.pause, s.n
      ),
      history as (
        insert into webhook_history (event_id, event_type, entity_type, entity_id, project_id, ticket_id, task_id, agent_id,
      url, payload, traceparent, outcome, attempts, last_status, last_error, created_at, recoverable)
        select event_id, event_type, entity_type, entity_id, project_id, ticket_id, task_id, agent_id,
      url, payload, traceparent, kind, attempts, status, coalesce(error, last_error), created_at, recoverable from settled
      ),
      changed as (
        -- As numbers: before PostgreSQL 17 nothing is subtracted from an infinite time, which SQL may have put there.
        select id, event_id, endpoint_id, attempts, kind, probe, started_at, duration_ms, status, error, response, recoverable, pause, n, case kind when 'delivered' then
          (date_part('epoch', clock_timestamp()) - date_part('epoch', coalesce(replayed_at, created_at))) * 1000 end as owed_ms
        from settled
        union all select id, event_id, endpoint_id, attempts, kind, probe, started_at, duration_ms, status, error, response, recoverable, pause, n, null from kept
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
        news as (
    insert into webhook_outbox (event_type, entity_type, entity_id, url, payload)
    select n.event_type, 'endpoint', n.entity_id, operator_url, (
      select row_to_json(body) from (select
        n.event_type, webhook_time(clock_timestamp()) as "timestamp", 'endpoint' as entity_type, n.entity_id,
        null as project_id, null as ticket_id, null as task_id, null as agent_id, n.data
      ) body)
    from (
      select t.id::text as entity_id, 'endpoint.failing' as event_type, (
        select row_to_json(data) from (select case when t.url ~* '^https?://[^/\\@[:space:]]*(/|$)' then t.url
          else regexp_replace(t.url, '^(https?://)?.*@', '\1', 'i') end as url, case t.turn when 'opened' then 'open' else 'paused' end as status,
          t.in_row as failures, webhook_time(t.since) as since, t.new_status as last_status, webhook_text(t.new_error) as last_error
        ) data) as data
      from turned t
      where t.turn = 'paused' or t.turn = 'opened' and not (t.pause and t.paused_at is null)
      union all
      select t.id::text, 'endpoint.recovered', (
        select row_to_json(data) from (select case when t.url ~* '^https?://[^/\\@[:space:]]*(/|$)' then t.url
          else regexp_replace(t.url, '^(https?://)?.*@', '\1', 'i') end as url,
          case when t.pause or t.paused_at is not null then 'paused' else 'healthy' end as status,
          t.failures, webhook_time(t.failing_since) as since,
          case when isfinite(t.failing_since) then trunc(extract(epoch from now()) - extract(epoch from t.failing_since)) end as down_seconds,
          t.new_status as last_status, webhook_text(t.last_error) as last_error
        ) data)
      from turned t
      where t.turn = 'closed'
    ) n
    where operator_url is not null and n.entity_id <> md5(split_part(split_part(operator_url, '#', 1), '?', 1))::uuid::text
        )
        select c.id, c.owed_ms, null::uuid, null, null, null from unnest(changed_ids, owed) c (id, owed_ms)
        union all
        select null, null, id, url, turn, new_error from turned;
    end $_$;

--
-- Name: FUNCTION webhook_settle(ids bigint[], tokens uuid[], kinds text[], probes boolean[], waits_ms double precision[], starts timestamp with time zone[], durations_ms integer[], statuses integer[], errors text[], responses text[], recoverables boolean[], pauses boolean[], per_endpoint integer, operator_url text); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_settle(ids bigint[], tokens uuid[], kinds text[], probes boolean[], waits_ms double precision[], starts timestamp with time zone[], durations_ms integer[], statuses integer[], errors text[], responses text[], recoverables boolean[], pauses boolean[], per_endpoint integer, operator_url text) IS 'Records what came of a batch of deliveries; for the dispatcher''s use only';

--
-- Name: webhook_time(timestamp with time zone); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_time(value timestamp with time zone) RETURNS text
    LANGUAGE sql STABLE
    RETURN CASE WHEN ((value >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (value < '10000-01-01 00:00:00+00'::timestamp with time zone)) THEN to_char((value AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'::text) ELSE NULL::text END;

--
-- Name: FUNCTION webhook_time(value timestamp with time zone); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_time(value timestamp with time zone) IS 'A time as payloads carry it: RFC 3339, UTC, milliseconds';

--
-- Name: webhook_stuck_event(public.agent_stuck_episodes); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_stuck_event(episode public.agent_stuck_episodes) RETURNS TABLE(event_type text, entity_id text, project_id text, ticket_id text, task_id text, agent_id text, url text, payload json)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT e.event_type,
     e.entity_id,
     e.project_id,
     e.ticket_id,
     e.task_id,
     e.entity_id,
     e.url,
     ( SELECT row_to_json(body.*) AS row_to_json
            FROM ( SELECT e.event_type,
                     to_char((clock_timestamp() AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'::text) AS "timestamp",
                     'agent'::text AS entity_type,
                     e.entity_id,
                     e.project_id,
                     e.ticket_id,
                     e.task_id,
                     e.entity_id AS agent_id,
                     ( SELECT row_to_json(data.*) AS row_to_json
                            FROM ( SELECT public.webhook_time(e.last_heartbeat) AS last_heartbeat,
                                     public.webhook_text((webhook_stuck_event.episode).reason) AS stuck_reason,
CASE
 WHEN (public.webhook_time(e.last_heartbeat) IS NOT NULL) THEN trunc((EXTRACT(epoch FROM clock_timestamp()) - EXTRACT(epoch FROM e.last_heartbeat)))
 ELSE NULL::numeric
END AS seconds_since_heartbeat) data) AS data) body) AS row_to_json
    FROM ( SELECT 'agent.stuck'::text AS event_type,
             (webhook_stuck_event.episode).agent_id AS entity_id,
             ticket.project_id,
             ticket.id AS ticket_id,
             task.id AS task_id,
             agent.last_heartbeat,
             COALESCE(NULLIF((ticket.webhook_url)::text, ''::text), NULLIF((project.webhook_url)::text, ''::text)) AS url
            FROM (((public.tasks task
              JOIN public.tickets ticket ON ((ticket.id = task.ticket_id)))
              LEFT JOIN public.projects project ON ((project.id = ticket.project_id)))
              LEFT JOIN public.agents agent ON ((agent.id = (webhook_stuck_event.episode).agent_id)))
           WHERE ((task.assigned_agent_id = (webhook_stuck_event.episode).agent_id) AND (task.status = ANY (ARRAY['assigned'::text, 'running'::text])))) e
   WHERE (e.url IS NOT NULL);
END;

--
-- Name: FUNCTION webhook_stuck_event(episode public.agent_stuck_episodes); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_stuck_event(episode public.agent_stuck_episodes) IS 'The events of a stuck agent, one for each task that it holds; none for tasks to which no URL applies';

--
-- Name: webhook_task_event(public.tasks); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_task_event(task public.tasks) RETURNS TABLE(entity_id text, project_id text, ticket_id text, agent_id text, url text, completed boolean)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT e.entity_id,
     e.project_id,
     e.ticket_id,
     e.agent_id,
     e.url,
     e.completed
    FROM ( SELECT (webhook_task_event.task).id AS entity_id,
             ticket.project_id,
             ticket.id AS ticket_id,
             (webhook_task_event.task).assigned_agent_id AS agent_id,
             COALESCE(NULLIF((ticket.webhook_url)::text, ''::text), NULLIF((project.webhook_url)::text, ''::text)) AS url,
             (((webhook_task_event.task).status COLLATE "C") = 'completed'::text) AS completed
            FROM (public.tickets ticket
              LEFT JOIN public.projects project ON ((project.id = ticket.project_id)))
           WHERE (ticket.id = (webhook_task_event.task).ticket_id)) e
   WHERE ((e.url IS NOT NULL) AND (e.entity_id IS NOT NULL))
  LIMIT 1;
END;

--
-- Name: FUNCTION webhook_task_event(task public.tasks); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_task_event(task public.tasks) IS 'What and where to send of a task that just became completed or failed; no row where no URL applies';

--
-- Name: webhook_url_now(text, text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_url_now(ticket text, project text) RETURNS TABLE(url text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT COALESCE(NULLIF((t.webhook_url)::text, ''::text), NULLIF((p.webhook_url)::text, ''::text)) AS "coalesce"
    FROM ((( SELECT) one
      LEFT JOIN public.tickets t ON ((t.id = webhook_url_now.ticket)))
      LEFT JOIN public.projects p ON ((p.id =
         CASE
             WHEN (t.id IS NULL) THEN webhook_url_now.project
             ELSE t.project_id
         END)));
END;

--
-- Name: FUNCTION webhook_url_now(ticket text, project text); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_url_now(ticket text, project text) IS 'The URL that is configured now for an event of this ticket and project; null where there is none';

--
-- Name: webhook_url_of_projects(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_url_of_projects() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
      begin
        perform "public"."webhook_move_projects"(new);
        if not pg_catalog.pg_try_advisory_xact_lock_shared(
          2003332975, '"public".webhook_outbox'::pg_catalog.regclass::pg_catalog.oid::pg_catalog.int4) then
          perform pg_catalog.pg_notify('webhook_outbox', '');
        end if;
        return null;
      end $$;

--
-- Name: FUNCTION webhook_url_of_projects(); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_url_of_projects() IS 'Moves what is owed when a webhook_url changes';

--
-- Name: webhook_url_of_tickets(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.webhook_url_of_tickets() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
      begin
        perform "public"."webhook_move_tickets"(new);
        if not pg_catalog.pg_try_advisory_xact_lock_shared(
          2003332975, '"public".webhook_outbox'::pg_catalog.regclass::pg_catalog.oid::pg_catalog.int4) then
          perform pg_catalog.pg_notify('webhook_outbox', '');
        end if;
        return null;
      end $$;

--
-- Name: FUNCTION webhook_url_of_tickets(); Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON FUNCTION public.webhook_url_of_tickets() IS 'Moves what is owed when a webhook_url changes';

--
-- Name: webhook_adoption; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_adoption (
    table_schema text NOT NULL,
    table_name text NOT NULL,
    column_name text,
    adopted_at timestamp with time zone DEFAULT now() NOT NULL
);

--
-- Name: TABLE webhook_adoption; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_adoption IS 'What webhook-outbox created among the host''s tables, and what its migration down removes: a whole table (column_name is null) or one column';

--
-- Name: COLUMN webhook_adoption.table_schema; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_adoption.table_schema IS 'Schema of the table';

--
-- Name: COLUMN webhook_adoption.table_name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_adoption.table_name IS 'The table that was created, or that got a column';

--
-- Name: COLUMN webhook_adoption.column_name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_adoption.column_name IS 'The column that was added; null where the whole table was created';

--
-- Name: COLUMN webhook_adoption.adopted_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_adoption.adopted_at IS 'When it was created';

--
-- Name: webhook_attempts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_attempts (
    event_id uuid NOT NULL,
    attempt integer NOT NULL,
    started_at timestamp with time zone NOT NULL,
    duration_ms integer,
    status integer,
    error text,
    response text
)
PARTITION BY LIST (((error IS NULL)));

--
-- Name: TABLE webhook_attempts; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_attempts IS 'One row an attempt; attempts that delivered are kept as long as delivered events, failed ones as long as dead events';

--
-- Name: COLUMN webhook_attempts.event_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_attempts.event_id IS 'The event that was sent';

--
-- Name: COLUMN webhook_attempts.attempt; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_attempts.attempt IS 'Number of the attempt: the webhook-attempt header';

--
-- Name: COLUMN webhook_attempts.started_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_attempts.started_at IS 'When the exchange began, by the clock of the dispatcher';

--
-- Name: COLUMN webhook_attempts.duration_ms; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_attempts.duration_ms IS 'Milliseconds of the whole exchange, null where its dispatcher died';

--
-- Name: COLUMN webhook_attempts.status; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_attempts.status IS 'HTTP status of the answer, null where there was none';

--
-- Name: COLUMN webhook_attempts.error; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_attempts.error IS 'Why it did not deliver, null where it did';

--
-- Name: COLUMN webhook_attempts.response; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_attempts.response IS 'The first 2 KiB of the answer';

--
-- Name: webhook_attempts_failed; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_attempts_failed (
    event_id uuid NOT NULL,
    attempt integer NOT NULL,
    started_at timestamp with time zone NOT NULL,
    duration_ms integer,
    status integer,
    error text,
    response text
)
PARTITION BY RANGE (started_at);

--
-- Name: TABLE webhook_attempts_failed; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_attempts_failed IS 'Partitioned by day (UTC), kept for DEAD_RETENTION';

--
-- Name: webhook_attempts_failed_default; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_attempts_failed_default (
    event_id uuid NOT NULL,
    attempt integer NOT NULL,
    started_at timestamp with time zone NOT NULL,
    duration_ms integer,
    status integer,
    error text,
    response text
);

ALTER TABLE ONLY public.webhook_attempts_failed_default REPLICA IDENTITY FULL;

--
-- Name: TABLE webhook_attempts_failed_default; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_attempts_failed_default IS 'Takes what no day takes; rows move out when their day is made';

--
-- Name: webhook_attempts_ok; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_attempts_ok (
    event_id uuid NOT NULL,
    attempt integer NOT NULL,
    started_at timestamp with time zone NOT NULL,
    duration_ms integer,
    status integer,
    error text,
    response text
)
PARTITION BY RANGE (started_at);

--
-- Name: TABLE webhook_attempts_ok; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_attempts_ok IS 'Partitioned by day (UTC), kept for RETENTION';

--
-- Name: webhook_attempts_ok_default; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_attempts_ok_default (
    event_id uuid NOT NULL,
    attempt integer NOT NULL,
    started_at timestamp with time zone NOT NULL,
    duration_ms integer,
    status integer,
    error text,
    response text
);

ALTER TABLE ONLY public.webhook_attempts_ok_default REPLICA IDENTITY FULL;

--
-- Name: TABLE webhook_attempts_ok_default; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_attempts_ok_default IS 'Takes what no day takes; rows move out when their day is made';

--
-- Name: webhook_audit; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_audit (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL
);

--
-- Name: TABLE webhook_audit; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_audit IS 'Changes that operators made through the API; it holds no secrets: URLs without their query, names of headers only';

--
-- Name: COLUMN webhook_audit.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_audit.id IS 'Order of insertion';

--
-- Name: COLUMN webhook_audit.at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_audit.at IS 'When, by the clock of the database';

--
-- Name: COLUMN webhook_audit.actor; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_audit.actor IS 'Name of the token; anonymous where there are no tokens';

--
-- Name: COLUMN webhook_audit.action; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_audit.action IS 'What was done, such as delivery.replay';

--
-- Name: COLUMN webhook_audit.target; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_audit.target IS 'To what, as its path in the API has it, such as endpoints/<id>';

--
-- Name: COLUMN webhook_audit.detail; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_audit.detail IS 'What else there is to say';

--
-- Name: webhook_audit_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.webhook_audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.webhook_audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: webhook_backlog_counted; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_backlog_counted (
    counted_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    next_count_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    valid_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL
);

ALTER TABLE ONLY public.webhook_backlog_counted REPLICA IDENTITY FULL;

--
-- Name: TABLE webhook_backlog_counted; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_backlog_counted IS 'One row: when webhook_backlog_counts was written. Dispatchers take turns by locking it';

--
-- Name: COLUMN webhook_backlog_counted.counted_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_backlog_counted.counted_at IS 'Of when the counts are';

--
-- Name: COLUMN webhook_backlog_counted.next_count_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_backlog_counted.next_count_at IS 'When a dispatcher counts again';

--
-- Name: COLUMN webhook_backlog_counted.valid_until; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_backlog_counted.valid_until IS 'Until when the counts are shown; after that whoever looks counts';

--
-- Name: webhook_backlog_counts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_backlog_counts (
    endpoint_id uuid NOT NULL,
    due integer NOT NULL,
    waiting integer NOT NULL,
    oldest_due_at timestamp with time zone,
    next_attempt_at timestamp with time zone
)
WITH (fillfactor='50');

--
-- Name: TABLE webhook_backlog_counts; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_backlog_counts IS 'What is pending, one row an endpoint, as a dispatcher counted it last; empty while little is owed. Read webhook_backlog instead';

--
-- Name: COLUMN webhook_backlog_counts.endpoint_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_backlog_counts.endpoint_id IS 'Endpoint: the URL without query and fragment, hashed';

--
-- Name: COLUMN webhook_backlog_counts.due; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_backlog_counts.due IS 'Events that could be sent then';

--
-- Name: COLUMN webhook_backlog_counts.waiting; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_backlog_counts.waiting IS 'Events that waited then for the time of their next attempt';

--
-- Name: COLUMN webhook_backlog_counts.oldest_due_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_backlog_counts.oldest_due_at IS 'Since when the oldest due event is due';

--
-- Name: COLUMN webhook_backlog_counts.next_attempt_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_backlog_counts.next_attempt_at IS 'When the first of the waiting events is due';

--
-- Name: webhook_endpoints; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_endpoints (
    id uuid NOT NULL,
    url text NOT NULL,
    breaker text DEFAULT 'closed'::text NOT NULL,
    paused_at timestamp with time zone,
    paused_reason text,
    settled bigint DEFAULT 0 NOT NULL,
    slots integer DEFAULT 4 NOT NULL,
    ramp_at timestamp with time zone,
    slow boolean DEFAULT true NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    failing_since timestamp with time zone,
    opened_at timestamp with time zone,
    probe_at timestamp with time zone,
    probe_wait interval,
    owes_dead boolean DEFAULT false NOT NULL,
    recover_at timestamp with time zone,
    recover_wait interval,
    recover_rest boolean DEFAULT false NOT NULL,
    recovered_at timestamp with time zone,
    last_success_at timestamp with time zone,
    last_failure_at timestamp with time zone,
    last_status integer,
    last_error text,
    max_in_flight integer,
    retry_schedule interval[],
    timeout interval,
    max_owed_age interval,
    headers jsonb,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    used_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    secrets text[],
    CONSTRAINT webhook_endpoints_breaker_check CHECK ((breaker = ANY (ARRAY['closed'::text, 'open'::text, 'probing'::text]))),
    CONSTRAINT webhook_endpoints_headers_check CHECK (((jsonb_typeof(headers) = 'object'::text) AND (NOT jsonb_path_exists(headers, '$.*?(@.type() != "string")'::jsonpath)))),
    CONSTRAINT webhook_endpoints_max_in_flight_check CHECK ((max_in_flight > 0)),
    CONSTRAINT webhook_endpoints_max_owed_age_check CHECK (((max_owed_age >= '00:00:00.001'::interval) AND (max_owed_age <= '100 years'::interval))),
    CONSTRAINT webhook_endpoints_retry_schedule_check CHECK (((cardinality(retry_schedule) <= 100) AND ('00:00:00'::interval <= ALL (retry_schedule)) AND ('3660 days'::interval >= ALL (retry_schedule)))),
    CONSTRAINT webhook_endpoints_secrets_check CHECK (((secrets IS NULL) OR ((array_ndims(secrets) = 1) AND (array_lower(secrets, 1) = 1) AND (cardinality(secrets) <= 2) AND ((secrets[1] ~ '^whsec_(?:[A-Za-z0-9+/]{4}){8,20}(?:[A-Za-z0-9+/]{4}(?:[A-Za-z0-9+/]{2}==)?|[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$'::text) IS TRUE) AND ((cardinality(secrets) = 1) OR ((secrets[2] ~ '^whsec_(?:[A-Za-z0-9+/]{4}){8,20}(?:[A-Za-z0-9+/]{4}(?:[A-Za-z0-9+/]{2}==)?|[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$'::text) IS TRUE))))),
    CONSTRAINT webhook_endpoints_timeout_check CHECK (((timeout >= '00:00:00.001'::interval) AND (timeout <= '3660 days'::interval)))
)
WITH (fillfactor='50');

--
-- Name: TABLE webhook_endpoints; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_endpoints IS 'One row an endpoint, which is a URL without its query and fragment: its health, its breaker, and whether it is paused';

--
-- Name: COLUMN webhook_endpoints.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.id IS 'The endpoint_id of its events';

--
-- Name: COLUMN webhook_endpoints.url; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.url IS 'The URL without query and fragment';

--
-- Name: COLUMN webhook_endpoints.breaker; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.breaker IS 'closed: deliveries flow; open: what is owed waits until probe_at; probing: one delivery tries it';

--
-- Name: COLUMN webhook_endpoints.paused_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.paused_at IS 'Since when what is owed to it waits for a resume; null where it is not paused';

--
-- Name: COLUMN webhook_endpoints.paused_reason; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.paused_reason IS 'Why it is paused';

--
-- Name: COLUMN webhook_endpoints.settled; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.settled IS 'Deliveries that ended in any way: webhook_claims.claimed less these are in flight';

--
-- Name: COLUMN webhook_endpoints.slots; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.slots IS 'How many deliveries may be in flight; grows with success up to MAX_IN_FLIGHT_PER_ENDPOINT';

--
-- Name: COLUMN webhook_endpoints.ramp_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.ramp_at IS 'Slots do not grow before this time: set while an endpoint that was away comes back';

--
-- Name: COLUMN webhook_endpoints.slow; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.slow IS 'Its answers take a second or more, or it has not answered yet: slow endpoints share half of the slots';

--
-- Name: COLUMN webhook_endpoints.failures; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.failures IS 'Failures in a row, of any kind';

--
-- Name: COLUMN webhook_endpoints.failing_since; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.failing_since IS 'When the first of these failures was';

--
-- Name: COLUMN webhook_endpoints.opened_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.opened_at IS 'When the breaker opened; null while it is closed';

--
-- Name: COLUMN webhook_endpoints.probe_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.probe_at IS 'When the next delivery tries it; null while the breaker is closed';

--
-- Name: COLUMN webhook_endpoints.probe_wait; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.probe_wait IS 'The wait before that';

--
-- Name: COLUMN webhook_endpoints.owes_dead; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.owes_dead IS 'Events to it are dead that may be brought back: see webhook_history.recoverable';

--
-- Name: COLUMN webhook_endpoints.recover_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.recover_at IS 'When the oldest of these is tried again';

--
-- Name: COLUMN webhook_endpoints.recover_wait; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.recover_wait IS 'The wait before that';

--
-- Name: COLUMN webhook_endpoints.recover_rest; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.recover_rest IS 'It has answered since: at recover_at all of them are tried again, and not the oldest only';

--
-- Name: COLUMN webhook_endpoints.recovered_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.recovered_at IS 'When all of them were brought back last';

--
-- Name: COLUMN webhook_endpoints.last_success_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.last_success_at IS 'Its last 2xx';

--
-- Name: COLUMN webhook_endpoints.last_failure_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.last_failure_at IS 'Its last failure';

--
-- Name: COLUMN webhook_endpoints.last_status; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.last_status IS 'HTTP status of its last answer';

--
-- Name: COLUMN webhook_endpoints.last_error; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.last_error IS 'Why the last attempt that failed did';

--
-- Name: COLUMN webhook_endpoints.max_in_flight; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.max_in_flight IS 'Its own limit of deliveries in flight, instead of MAX_IN_FLIGHT_PER_ENDPOINT';

--
-- Name: COLUMN webhook_endpoints.retry_schedule; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.retry_schedule IS 'Its own waits before each retry, instead of RETRY_SCHEDULE; empty: no retries';

--
-- Name: COLUMN webhook_endpoints.timeout; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.timeout IS 'Its own deadline of an exchange, instead of DELIVERY_TIMEOUT; the lease limits it';

--
-- Name: COLUMN webhook_endpoints.max_owed_age; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.max_owed_age IS 'Its own limit of how long an event is owed, instead of MAX_OWED_AGE';

--
-- Name: COLUMN webhook_endpoints.headers; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.headers IS 'Request headers that each delivery to it carries, such as a token: an object of name and value';

--
-- Name: COLUMN webhook_endpoints.created_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.created_at IS 'When its row was made: at the first claim of an event to it, or when an operator set it up';

--
-- Name: COLUMN webhook_endpoints.used_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.used_at IS 'When the last attempt to it was settled; rows that are idle past the retention are removed';

--
-- Name: COLUMN webhook_endpoints.secrets; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_endpoints.secrets IS 'Its own signing secrets, one or two, as whsec_<base64 of 24 to 64 bytes>; each signs. They win over those of a project';

--
-- Name: webhook_backlog; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.webhook_backlog AS
 WITH counted AS MATERIALIZED (
         SELECT c.counted_at,
            ((c.valid_until > now()) AND (( SELECT count(*) AS count
                   FROM ( SELECT
                           FROM public.webhook_outbox
                         LIMIT 50001) few) > 50000)) AS known
           FROM public.webhook_backlog_counted c
        ), owed AS (
         SELECT o.endpoint_id,
            count(*) FILTER (WHERE (o.next_attempt_at <= now())) AS due,
            count(*) FILTER (WHERE (o.next_attempt_at > now())) AS waiting,
            0 AS delivering,
            min(o.next_attempt_at) FILTER (WHERE (o.next_attempt_at <= now())) AS oldest_due_at,
            min(o.next_attempt_at) FILTER (WHERE (o.next_attempt_at > now())) AS next_attempt_at
           FROM public.webhook_outbox o
          WHERE ((o.state = 'pending'::text) AND (( SELECT counted.known
                   FROM counted) IS NOT TRUE))
          GROUP BY o.endpoint_id
        UNION ALL
         SELECT c.endpoint_id,
            c.due,
            c.waiting,
            0,
            c.oldest_due_at,
            c.next_attempt_at
           FROM public.webhook_backlog_counts c
          WHERE ( SELECT counted.known
                   FROM counted)
        UNION ALL
         SELECT o.endpoint_id,
            0,
            0,
            count(*) AS count,
            NULL::timestamp with time zone,
            NULL::timestamp with time zone
           FROM public.webhook_outbox o
          WHERE (o.state = 'delivering'::text)
          GROUP BY o.endpoint_id
        ), summed AS (
         SELECT owed.endpoint_id,
            (sum(owed.due))::bigint AS due,
            (sum(owed.waiting))::bigint AS waiting,
            (sum(owed.delivering))::bigint AS delivering,
            min(owed.oldest_due_at) AS oldest_due_at,
            min(owed.next_attempt_at) AS next_attempt_at
           FROM owed
          GROUP BY owed.endpoint_id
        )
 SELECT s.endpoint_id,
    COALESCE(e.url, first.url) AS endpoint,
    s.due,
    s.waiting,
    s.delivering,
        CASE
            WHEN isfinite(s.oldest_due_at) THEN (now() - s.oldest_due_at)
            ELSE NULL::interval
        END AS oldest_due_age,
    s.next_attempt_at,
        CASE
            WHEN ((e.failures > 0) OR (s.waiting > 0)) THEN e.last_error
            ELSE NULL::text
        END AS last_error,
        CASE
            WHEN ( SELECT counted.known
               FROM counted) THEN ( SELECT c.counted_at
               FROM counted c)
            ELSE now()
        END AS counted_at
   FROM ((summed s
     LEFT JOIN public.webhook_endpoints e ON ((e.id = s.endpoint_id)))
     LEFT JOIN LATERAL ( SELECT split_part(split_part(o.url, '#'::text, 1), '?'::text, 1) AS url
           FROM public.webhook_outbox o
          WHERE ((e.id IS NULL) AND (o.state = 'pending'::text) AND (o.endpoint_id = s.endpoint_id))
          ORDER BY o.endpoint_id, o.next_attempt_at, o.id
         LIMIT 1) first ON (true));

--
-- Name: VIEW webhook_backlog; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.webhook_backlog IS 'What is owed, one row an endpoint';

--
-- Name: COLUMN webhook_backlog.endpoint_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_backlog.endpoint_id IS 'Endpoint: the URL without query and fragment, hashed';

--
-- Name: COLUMN webhook_backlog.endpoint; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_backlog.endpoint IS 'The URL without query and fragment';

--
-- Name: COLUMN webhook_backlog.due; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_backlog.due IS 'Events that could be sent now; they wait all the same where the endpoint is paused or its breaker is open';

--
-- Name: COLUMN webhook_backlog.waiting; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_backlog.waiting IS 'Events that wait for the time of their next attempt';

--
-- Name: COLUMN webhook_backlog.delivering; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_backlog.delivering IS 'Events that a dispatcher is sending now, or whose dispatcher died and whose lease runs';

--
-- Name: COLUMN webhook_backlog.oldest_due_age; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_backlog.oldest_due_age IS 'How long the oldest due event has been due';

--
-- Name: COLUMN webhook_backlog.next_attempt_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_backlog.next_attempt_at IS 'When the first of the waiting events is due';

--
-- Name: COLUMN webhook_backlog.last_error; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_backlog.last_error IS 'Why the last attempt that failed did; null where the endpoint answers and nothing waits';

--
-- Name: COLUMN webhook_backlog.counted_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_backlog.counted_at IS 'Of when due, waiting and the times are: now, or some seconds ago where more than 50,000 events are owed';

--
-- Name: webhook_claims; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_claims (
    endpoint_id uuid NOT NULL,
    claimed bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='50');

--
-- Name: TABLE webhook_claims; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_claims IS 'One row an endpoint: whoever claims deliveries of it locks the row until what is in flight is counted';

--
-- Name: COLUMN webhook_claims.endpoint_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_claims.endpoint_id IS 'The endpoint: webhook_endpoints.id';

--
-- Name: COLUMN webhook_claims.claimed; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_claims.claimed IS 'Deliveries that were claimed; less webhook_endpoints.settled, they are in flight';

--
-- Name: webhook_dead_letters; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.webhook_dead_letters AS
 SELECT webhook_history.event_id,
    webhook_history.event_type,
    webhook_history.entity_type,
    webhook_history.entity_id,
    webhook_history.project_id,
    webhook_history.ticket_id,
    webhook_history.task_id,
    webhook_history.agent_id,
    webhook_history.url,
    webhook_history.payload,
    webhook_history.attempts,
    webhook_history.last_status,
    webhook_history.last_error,
    webhook_history.created_at,
    webhook_history.settled_at,
    webhook_history.endpoint_id
   FROM public.webhook_history
  WHERE (webhook_history.outcome = 'dead'::text);

--
-- Name: VIEW webhook_dead_letters; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.webhook_dead_letters IS 'Events that failed for good, with their reason';

--
-- Name: COLUMN webhook_dead_letters.event_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_dead_letters.event_id IS 'The webhook-id that receivers deduplicate on: the same on every attempt and replay';

--
-- Name: COLUMN webhook_dead_letters.event_type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_dead_letters.event_type IS 'task.completed, task.failed, agent.stuck, endpoint.failing or endpoint.recovered';

--
-- Name: COLUMN webhook_dead_letters.entity_type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_dead_letters.entity_type IS 'What the event is about: task, agent or endpoint';

--
-- Name: COLUMN webhook_dead_letters.entity_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_dead_letters.entity_id IS 'Id of the task, agent or endpoint that the event is about';

--
-- Name: COLUMN webhook_dead_letters.project_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_dead_letters.project_id IS 'Project of the ticket, null where it has none';

--
-- Name: COLUMN webhook_dead_letters.ticket_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_dead_letters.ticket_id IS 'Ticket of the task';

--
-- Name: COLUMN webhook_dead_letters.task_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_dead_letters.task_id IS 'Task that changed, or that the stuck agent holds';

--
-- Name: COLUMN webhook_dead_letters.agent_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_dead_letters.agent_id IS 'Agent that the task was assigned to, or that is stuck';

--
-- Name: COLUMN webhook_dead_letters.url; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_dead_letters.url IS 'Where it is sent: the URL of the ticket where it has one, else of the project; of news of endpoints, OPERATOR_WEBHOOK_URL';

--
-- Name: COLUMN webhook_dead_letters.payload; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_dead_letters.payload IS 'The body: the exact bytes that are sent';

--
-- Name: COLUMN webhook_dead_letters.attempts; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_dead_letters.attempts IS 'Attempts begun';

--
-- Name: COLUMN webhook_dead_letters.last_status; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_dead_letters.last_status IS 'HTTP status of the last attempt, null where there was no answer';

--
-- Name: COLUMN webhook_dead_letters.last_error; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_dead_letters.last_error IS 'Why it failed for good';

--
-- Name: COLUMN webhook_dead_letters.created_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_dead_letters.created_at IS 'When the change was made, by the clock of the database';

--
-- Name: COLUMN webhook_dead_letters.settled_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_dead_letters.settled_at IS 'When it was given up';

--
-- Name: COLUMN webhook_dead_letters.endpoint_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_dead_letters.endpoint_id IS 'Endpoint: the URL without query and fragment, hashed';

--
-- Name: webhook_events; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.webhook_events AS
 SELECT webhook_outbox.event_id,
    webhook_outbox.event_type,
    webhook_outbox.entity_type,
    webhook_outbox.entity_id,
    webhook_outbox.project_id,
    webhook_outbox.ticket_id,
    webhook_outbox.task_id,
    webhook_outbox.agent_id,
    webhook_outbox.url,
    webhook_outbox.payload,
    webhook_outbox.state,
    webhook_outbox.attempts,
    webhook_outbox.next_attempt_at,
    webhook_outbox.last_status,
    webhook_outbox.last_error,
    webhook_outbox.created_at,
    NULL::timestamp with time zone AS settled_at,
    webhook_outbox.endpoint_id
   FROM public.webhook_outbox
UNION ALL
 SELECT webhook_history.event_id,
    webhook_history.event_type,
    webhook_history.entity_type,
    webhook_history.entity_id,
    webhook_history.project_id,
    webhook_history.ticket_id,
    webhook_history.task_id,
    webhook_history.agent_id,
    webhook_history.url,
    webhook_history.payload,
    webhook_history.outcome AS state,
    webhook_history.attempts,
    NULL::timestamp with time zone AS next_attempt_at,
    webhook_history.last_status,
    webhook_history.last_error,
    webhook_history.created_at,
    webhook_history.settled_at,
    webhook_history.endpoint_id
   FROM public.webhook_history;

--
-- Name: VIEW webhook_events; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.webhook_events IS 'Every event that is kept: what is owed and what is settled';

--
-- Name: COLUMN webhook_events.event_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_events.event_id IS 'The webhook-id that receivers deduplicate on: the same on every attempt and replay';

--
-- Name: COLUMN webhook_events.event_type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_events.event_type IS 'task.completed, task.failed, agent.stuck, endpoint.failing or endpoint.recovered';

--
-- Name: COLUMN webhook_events.entity_type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_events.entity_type IS 'What the event is about: task, agent or endpoint';

--
-- Name: COLUMN webhook_events.entity_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_events.entity_id IS 'Id of the task, agent or endpoint that the event is about';

--
-- Name: COLUMN webhook_events.project_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_events.project_id IS 'Project of the ticket, null where it has none';

--
-- Name: COLUMN webhook_events.ticket_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_events.ticket_id IS 'Ticket of the task';

--
-- Name: COLUMN webhook_events.task_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_events.task_id IS 'Task that changed, or that the stuck agent holds';

--
-- Name: COLUMN webhook_events.agent_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_events.agent_id IS 'Agent that the task was assigned to, or that is stuck';

--
-- Name: COLUMN webhook_events.url; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_events.url IS 'Where it is sent: the URL of the ticket where it has one, else of the project; of news of endpoints, OPERATOR_WEBHOOK_URL';

--
-- Name: COLUMN webhook_events.payload; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_events.payload IS 'The body: the exact bytes that are sent';

--
-- Name: COLUMN webhook_events.state; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_events.state IS 'pending, delivering, delivered, dead or discarded';

--
-- Name: COLUMN webhook_events.attempts; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_events.attempts IS 'Attempts begun';

--
-- Name: COLUMN webhook_events.next_attempt_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_events.next_attempt_at IS 'Not sent before this time; null where it is settled';

--
-- Name: COLUMN webhook_events.last_status; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_events.last_status IS 'HTTP status of the last attempt, null where there was no answer';

--
-- Name: COLUMN webhook_events.last_error; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_events.last_error IS 'Why the last attempt did not deliver, or why it was given up';

--
-- Name: COLUMN webhook_events.created_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_events.created_at IS 'When the change was made, by the clock of the database';

--
-- Name: COLUMN webhook_events.settled_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_events.settled_at IS 'When it was delivered or given up; null where it is owed';

--
-- Name: COLUMN webhook_events.endpoint_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_events.endpoint_id IS 'Endpoint: the URL without query and fragment, hashed';

--
-- Name: webhook_history_dead; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_history_dead (
    event_id uuid NOT NULL,
    event_type text NOT NULL,
    entity_type text NOT NULL,
    entity_id text NOT NULL,
    project_id text,
    ticket_id text,
    task_id text,
    agent_id text,
    url text NOT NULL,
    payload json NOT NULL,
    outcome text NOT NULL,
    attempts integer NOT NULL,
    last_status integer,
    last_error text,
    created_at timestamp with time zone NOT NULL,
    settled_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    recoverable boolean DEFAULT false NOT NULL,
    traceparent text,
    endpoint_id uuid GENERATED ALWAYS AS ((md5(split_part(split_part(url, '#'::text, 1), '?'::text, 1)))::uuid) STORED NOT NULL,
    CONSTRAINT webhook_history_outcome_check CHECK ((outcome = ANY (ARRAY['delivered'::text, 'dead'::text, 'discarded'::text])))
)
PARTITION BY RANGE (settled_at);

--
-- Name: TABLE webhook_history_dead; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_history_dead IS 'Partitioned by day (UTC), kept for DEAD_RETENTION';

--
-- Name: webhook_history_dead_default; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_history_dead_default (
    event_id uuid NOT NULL,
    event_type text NOT NULL,
    entity_type text NOT NULL,
    entity_id text NOT NULL,
    project_id text,
    ticket_id text,
    task_id text,
    agent_id text,
    url text NOT NULL,
    payload json NOT NULL,
    outcome text NOT NULL,
    attempts integer NOT NULL,
    last_status integer,
    last_error text,
    created_at timestamp with time zone NOT NULL,
    settled_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    recoverable boolean DEFAULT false NOT NULL,
    traceparent text,
    endpoint_id uuid GENERATED ALWAYS AS ((md5(split_part(split_part(url, '#'::text, 1), '?'::text, 1)))::uuid) STORED NOT NULL,
    CONSTRAINT webhook_history_outcome_check CHECK ((outcome = ANY (ARRAY['delivered'::text, 'dead'::text, 'discarded'::text])))
);

--
-- Name: TABLE webhook_history_dead_default; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_history_dead_default IS 'Takes what no day takes; rows move out when their day is made';

--
-- Name: webhook_history_delivered; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_history_delivered (
    event_id uuid NOT NULL,
    event_type text NOT NULL,
    entity_type text NOT NULL,
    entity_id text NOT NULL,
    project_id text,
    ticket_id text,
    task_id text,
    agent_id text,
    url text NOT NULL,
    payload json NOT NULL,
    outcome text NOT NULL,
    attempts integer NOT NULL,
    last_status integer,
    last_error text,
    created_at timestamp with time zone NOT NULL,
    settled_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    recoverable boolean DEFAULT false NOT NULL,
    traceparent text,
    endpoint_id uuid GENERATED ALWAYS AS ((md5(split_part(split_part(url, '#'::text, 1), '?'::text, 1)))::uuid) STORED NOT NULL,
    CONSTRAINT webhook_history_outcome_check CHECK ((outcome = ANY (ARRAY['delivered'::text, 'dead'::text, 'discarded'::text])))
)
PARTITION BY RANGE (settled_at);

--
-- Name: TABLE webhook_history_delivered; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_history_delivered IS 'Partitioned by day (UTC), kept for RETENTION';

--
-- Name: webhook_history_delivered_default; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_history_delivered_default (
    event_id uuid NOT NULL,
    event_type text NOT NULL,
    entity_type text NOT NULL,
    entity_id text NOT NULL,
    project_id text,
    ticket_id text,
    task_id text,
    agent_id text,
    url text NOT NULL,
    payload json NOT NULL,
    outcome text NOT NULL,
    attempts integer NOT NULL,
    last_status integer,
    last_error text,
    created_at timestamp with time zone NOT NULL,
    settled_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    recoverable boolean DEFAULT false NOT NULL,
    traceparent text,
    endpoint_id uuid GENERATED ALWAYS AS ((md5(split_part(split_part(url, '#'::text, 1), '?'::text, 1)))::uuid) STORED NOT NULL,
    CONSTRAINT webhook_history_outcome_check CHECK ((outcome = ANY (ARRAY['delivered'::text, 'dead'::text, 'discarded'::text])))
);

--
-- Name: TABLE webhook_history_delivered_default; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_history_delivered_default IS 'Takes what no day takes; rows move out when their day is made';

--
-- Name: webhook_installation; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_installation (
    name text NOT NULL,
    stored_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT webhook_installation_name_check CHECK (((name <> ''::text) AND (char_length(name) <= 200)))
);

ALTER TABLE ONLY public.webhook_installation REPLICA IDENTITY FULL;

--
-- Name: TABLE webhook_installation; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_installation IS 'One row, or none: the INSTALLATION that sends the events of this database. A service under another name sends nothing. Change it by webhook_confirm_installation';

--
-- Name: COLUMN webhook_installation.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_installation.name IS 'Its name';

--
-- Name: COLUMN webhook_installation.stored_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_installation.stored_at IS 'When a service stored it first, or an operator confirmed it';

--
-- Name: webhook_migration; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_migration (
    name character varying(255) NOT NULL,
    "timestamp" character varying(255) NOT NULL
);

--
-- Name: TABLE webhook_migration; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_migration IS 'The migrations of webhook-outbox that this database has';

--
-- Name: COLUMN webhook_migration.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_migration.name IS 'The migration: a file of db/migrations';

--
-- Name: COLUMN webhook_migration."timestamp"; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_migration."timestamp" IS 'When it was applied';

--
-- Name: webhook_migration_lock; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_migration_lock (
    id character varying(255) NOT NULL,
    is_locked integer DEFAULT 0 NOT NULL
);

--
-- Name: TABLE webhook_migration_lock; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_migration_lock IS 'Lets one migration of webhook-outbox run at a time';

--
-- Name: COLUMN webhook_migration_lock.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_migration_lock.id IS 'The one row';

--
-- Name: COLUMN webhook_migration_lock.is_locked; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_migration_lock.is_locked IS 'Not used on Postgres, where the row itself is locked';

--
-- Name: webhook_operation_batches; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_operation_batches (
    operation_id uuid NOT NULL,
    n integer NOT NULL,
    event_ids uuid[] NOT NULL
);

--
-- Name: TABLE webhook_operation_batches; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_operation_batches IS 'The events that operations have yet to take, oldest first';

--
-- Name: COLUMN webhook_operation_batches.operation_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_operation_batches.operation_id IS 'The operation';

--
-- Name: COLUMN webhook_operation_batches.n; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_operation_batches.n IS 'Number of the batch';

--
-- Name: COLUMN webhook_operation_batches.event_ids; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_operation_batches.event_ids IS 'The events';

--
-- Name: webhook_operations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_operations (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    kind text NOT NULL,
    filter jsonb DEFAULT '{}'::jsonb NOT NULL,
    reason text,
    state text DEFAULT 'queued'::text NOT NULL,
    matched integer DEFAULT 0 NOT NULL,
    done integer DEFAULT 0 NOT NULL,
    skipped integer DEFAULT 0 NOT NULL,
    skipped_reasons jsonb DEFAULT '{}'::jsonb NOT NULL,
    rate integer NOT NULL,
    next_batch_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    requested_by text NOT NULL,
    error text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    CONSTRAINT webhook_operations_kind_check CHECK ((kind = ANY (ARRAY['replay'::text, 'discard'::text]))),
    CONSTRAINT webhook_operations_rate_check CHECK ((rate > 0)),
    CONSTRAINT webhook_operations_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'running'::text, 'done'::text, 'cancelled'::text, 'failed'::text])))
);

--
-- Name: TABLE webhook_operations; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_operations IS 'Replays and discards of many events, which dispatchers carry out one after the other';

--
-- Name: COLUMN webhook_operations.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_operations.id IS 'Id of the operation';

--
-- Name: COLUMN webhook_operations.kind; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_operations.kind IS 'replay: what is settled is delivered again; discard: what is owed is given up';

--
-- Name: COLUMN webhook_operations.filter; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_operations.filter IS 'What it was asked to select';

--
-- Name: COLUMN webhook_operations.reason; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_operations.reason IS 'Why it discards, for the last_error of its events';

--
-- Name: COLUMN webhook_operations.state; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_operations.state IS 'queued; running; done; cancelled by an operator: what was done stays done; failed: see error';

--
-- Name: COLUMN webhook_operations.matched; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_operations.matched IS 'Events that it selected when it was requested';

--
-- Name: COLUMN webhook_operations.done; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_operations.done IS 'Events replayed or discarded so far';

--
-- Name: COLUMN webhook_operations.skipped; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_operations.skipped IS 'Events that it selected and could not take so far';

--
-- Name: COLUMN webhook_operations.skipped_reasons; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_operations.skipped_reasons IS 'Why, with the number of events of each reason';

--
-- Name: COLUMN webhook_operations.rate; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_operations.rate IS 'Events a second, at most';

--
-- Name: COLUMN webhook_operations.next_batch_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_operations.next_batch_at IS 'When the next batch has its turn';

--
-- Name: COLUMN webhook_operations.requested_by; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_operations.requested_by IS 'Name of the token that requested it; anonymous where there are no tokens';

--
-- Name: COLUMN webhook_operations.error; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_operations.error IS 'Why it failed';

--
-- Name: COLUMN webhook_operations.created_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_operations.created_at IS 'When it was requested: what is settled, or replayed, after that is left alone';

--
-- Name: COLUMN webhook_operations.started_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_operations.started_at IS 'When its first batch began';

--
-- Name: COLUMN webhook_operations.finished_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_operations.finished_at IS 'When it ended, in whatever way';

--
-- Name: webhook_outbox_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.webhook_outbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.webhook_outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: webhook_partitions; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.webhook_partitions AS
 SELECT (p.relname)::text AS parent,
    (c.relname)::text AS name,
    to_date("right"((c.relname)::text, 8), 'YYYYMMDD'::text) AS day
   FROM ((pg_inherits i
     JOIN pg_class c ON ((c.oid = i.inhrelid)))
     JOIN pg_class p ON ((p.oid = i.inhparent)))
  WHERE ((i.inhparent = ANY (ARRAY[('public.webhook_history_delivered'::regclass)::oid, ('public.webhook_history_dead'::regclass)::oid, ('public.webhook_attempts_ok'::regclass)::oid, ('public.webhook_attempts_failed'::regclass)::oid])) AND (c.relname ~ '_[0-9]{8}$'::text));

--
-- Name: VIEW webhook_partitions; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.webhook_partitions IS 'The days that webhook_history and webhook_attempts have partitions for';

--
-- Name: COLUMN webhook_partitions.parent; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_partitions.parent IS 'What is kept in it, and for how long: delivered, dead, ok or failed';

--
-- Name: COLUMN webhook_partitions.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_partitions.name IS 'The partition';

--
-- Name: COLUMN webhook_partitions.day; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_partitions.day IS 'The day that it holds, UTC';

--
-- Name: webhook_project_secrets; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_project_secrets (
    project_id text NOT NULL,
    secrets text[] NOT NULL,
    CONSTRAINT webhook_project_secrets_check CHECK (((secrets IS NULL) OR ((array_ndims(secrets) = 1) AND (array_lower(secrets, 1) = 1) AND (cardinality(secrets) <= 2) AND ((secrets[1] ~ '^whsec_(?:[A-Za-z0-9+/]{4}){8,20}(?:[A-Za-z0-9+/]{4}(?:[A-Za-z0-9+/]{2}==)?|[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$'::text) IS TRUE) AND ((cardinality(secrets) = 1) OR ((secrets[2] ~ '^whsec_(?:[A-Za-z0-9+/]{4}){8,20}(?:[A-Za-z0-9+/]{4}(?:[A-Za-z0-9+/]{2}==)?|[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$'::text) IS TRUE)))))
);

--
-- Name: TABLE webhook_project_secrets; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_project_secrets IS 'Signing secrets of projects, for events to endpoints that have none of their own';

--
-- Name: COLUMN webhook_project_secrets.project_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_project_secrets.project_id IS 'The project';

--
-- Name: COLUMN webhook_project_secrets.secrets; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_project_secrets.secrets IS 'One or two, as whsec_<base64 of 24 to 64 bytes>; each signs';

--
-- Name: webhook_stuck_sweep; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_stuck_sweep (
    swept_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    judge_from timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    started boolean DEFAULT false NOT NULL
);

ALTER TABLE ONLY public.webhook_stuck_sweep REPLICA IDENTITY FULL;

--
-- Name: TABLE webhook_stuck_sweep; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.webhook_stuck_sweep IS 'One row: when dispatchers last looked for agents without a heartbeat. Dispatchers take turns by locking it';

--
-- Name: COLUMN webhook_stuck_sweep.swept_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_stuck_sweep.swept_at IS 'When the last sweep ended';

--
-- Name: COLUMN webhook_stuck_sweep.judge_from; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_stuck_sweep.judge_from IS 'No agent is judged before this time: after an absence agents get time to report first';

--
-- Name: COLUMN webhook_stuck_sweep.started; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.webhook_stuck_sweep.started IS 'Whether there has been a sweep since the installation';

--
-- Name: webhook_attempts_failed; Type: TABLE ATTACH; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_attempts ATTACH PARTITION public.webhook_attempts_failed FOR VALUES IN (false);

--
-- Name: webhook_attempts_failed_default; Type: TABLE ATTACH; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_attempts_failed ATTACH PARTITION public.webhook_attempts_failed_default DEFAULT;

--
-- Name: webhook_attempts_ok; Type: TABLE ATTACH; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_attempts ATTACH PARTITION public.webhook_attempts_ok FOR VALUES IN (true);

--
-- Name: webhook_attempts_ok_default; Type: TABLE ATTACH; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_attempts_ok ATTACH PARTITION public.webhook_attempts_ok_default DEFAULT;

--
-- Name: webhook_history_dead; Type: TABLE ATTACH; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_history ATTACH PARTITION public.webhook_history_dead FOR VALUES IN ('dead', 'discarded');

--
-- Name: webhook_history_dead_default; Type: TABLE ATTACH; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_history_dead ATTACH PARTITION public.webhook_history_dead_default DEFAULT;

--
-- Name: webhook_history_delivered; Type: TABLE ATTACH; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_history ATTACH PARTITION public.webhook_history_delivered FOR VALUES IN ('delivered');

--
-- Name: webhook_history_delivered_default; Type: TABLE ATTACH; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_history_delivered ATTACH PARTITION public.webhook_history_delivered_default DEFAULT;

--
-- Name: agents agents_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.agents
    ADD CONSTRAINT agents_pkey PRIMARY KEY (id);

--
-- Name: projects projects_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.projects
    ADD CONSTRAINT projects_pkey PRIMARY KEY (id);

--
-- Name: tasks tasks_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (id);

--
-- Name: tickets tickets_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tickets
    ADD CONSTRAINT tickets_pkey PRIMARY KEY (id);

--
-- Name: webhook_adoption webhook_adoption_table_schema_table_name_column_name_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_adoption
    ADD CONSTRAINT webhook_adoption_table_schema_table_name_column_name_key UNIQUE NULLS NOT DISTINCT (table_schema, table_name, column_name);

--
-- Name: webhook_audit webhook_audit_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_audit
    ADD CONSTRAINT webhook_audit_pkey PRIMARY KEY (id);

--
-- Name: webhook_backlog_counts webhook_backlog_counts_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_backlog_counts
    ADD CONSTRAINT webhook_backlog_counts_pkey PRIMARY KEY (endpoint_id);

--
-- Name: webhook_claims webhook_claims_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_claims
    ADD CONSTRAINT webhook_claims_pkey PRIMARY KEY (endpoint_id);

--
-- Name: webhook_endpoints webhook_endpoints_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (id);

--
-- Name: webhook_history webhook_history_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_history
    ADD CONSTRAINT webhook_history_pkey PRIMARY KEY (event_id, settled_at, outcome);

--
-- Name: webhook_history_dead webhook_history_dead_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_history_dead
    ADD CONSTRAINT webhook_history_dead_pkey PRIMARY KEY (event_id, settled_at, outcome);

--
-- Name: webhook_history_dead_default webhook_history_dead_default_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_history_dead_default
    ADD CONSTRAINT webhook_history_dead_default_pkey PRIMARY KEY (event_id, settled_at, outcome);

--
-- Name: webhook_history_delivered webhook_history_delivered_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_history_delivered
    ADD CONSTRAINT webhook_history_delivered_pkey PRIMARY KEY (event_id, settled_at, outcome);

--
-- Name: webhook_history_delivered_default webhook_history_delivered_default_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_history_delivered_default
    ADD CONSTRAINT webhook_history_delivered_default_pkey PRIMARY KEY (event_id, settled_at, outcome);

--
-- Name: webhook_migration_lock webhook_migration_lock_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_migration_lock
    ADD CONSTRAINT webhook_migration_lock_pkey PRIMARY KEY (id);

--
-- Name: webhook_migration webhook_migration_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_migration
    ADD CONSTRAINT webhook_migration_pkey PRIMARY KEY (name);

--
-- Name: webhook_operation_batches webhook_operation_batches_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_operation_batches
    ADD CONSTRAINT webhook_operation_batches_pkey PRIMARY KEY (operation_id, n);

--
-- Name: webhook_operations webhook_operations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_operations
    ADD CONSTRAINT webhook_operations_pkey PRIMARY KEY (id);

--
-- Name: webhook_outbox webhook_outbox_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_outbox
    ADD CONSTRAINT webhook_outbox_pkey PRIMARY KEY (id);

--
-- Name: webhook_project_secrets webhook_project_secrets_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_project_secrets
    ADD CONSTRAINT webhook_project_secrets_pkey PRIMARY KEY (project_id);

--
-- Name: agent_stuck_episodes_open_key; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX agent_stuck_episodes_open_key ON public.agent_stuck_episodes USING btree (agent_id) WHERE (ended_at IS NULL);

--
-- Name: agent_stuck_episodes_started_at_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX agent_stuck_episodes_started_at_idx ON public.agent_stuck_episodes USING btree (agent_id, started_at);

--
-- Name: agents_created_at_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX agents_created_at_idx ON public.agents USING btree (created_at DESC NULLS LAST, id DESC);

--
-- Name: projects_created_at_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX projects_created_at_idx ON public.projects USING btree (created_at DESC NULLS LAST, id DESC);

--
-- Name: tasks_created_at_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX tasks_created_at_idx ON public.tasks USING btree (created_at DESC NULLS LAST, id DESC);

--
-- Name: tasks_held_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX tasks_held_idx ON public.tasks USING btree (assigned_agent_id) WHERE (status = ANY (ARRAY['assigned'::text, 'running'::text]));

--
-- Name: tasks_ticket_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX tasks_ticket_id_idx ON public.tasks USING btree (ticket_id);

--
-- Name: tickets_created_at_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX tickets_created_at_idx ON public.tickets USING btree (created_at DESC NULLS LAST, id DESC);

--
-- Name: tickets_project_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX tickets_project_id_idx ON public.tickets USING btree (project_id);

--
-- Name: webhook_attempts_event_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_attempts_event_id_idx ON ONLY public.webhook_attempts USING btree (event_id);

--
-- Name: webhook_attempts_failed_event_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_attempts_failed_event_id_idx ON ONLY public.webhook_attempts_failed USING btree (event_id);

--
-- Name: webhook_attempts_failed_default_event_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_attempts_failed_default_event_id_idx ON public.webhook_attempts_failed_default USING btree (event_id);

--
-- Name: webhook_attempts_ok_event_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_attempts_ok_event_id_idx ON ONLY public.webhook_attempts_ok USING btree (event_id);

--
-- Name: webhook_attempts_ok_default_event_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_attempts_ok_default_event_id_idx ON public.webhook_attempts_ok_default USING btree (event_id);

--
-- Name: webhook_audit_at_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_audit_at_idx ON public.webhook_audit USING btree (at, id);

--
-- Name: webhook_backlog_counted_one_row; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX webhook_backlog_counted_one_row ON public.webhook_backlog_counted USING btree ((true));

--
-- Name: webhook_endpoints_recover_at_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_endpoints_recover_at_idx ON public.webhook_endpoints USING btree (recover_at) WHERE owes_dead;

--
-- Name: webhook_history_created_at_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_history_created_at_idx ON ONLY public.webhook_history USING btree (created_at, event_id);

--
-- Name: webhook_history_dead_created_at_event_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_history_dead_created_at_event_id_idx ON ONLY public.webhook_history_dead USING btree (created_at, event_id);

--
-- Name: webhook_history_dead_default_created_at_event_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_history_dead_default_created_at_event_id_idx ON public.webhook_history_dead_default USING btree (created_at, event_id);

--
-- Name: webhook_history_recoverable_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_history_recoverable_idx ON ONLY public.webhook_history_dead USING btree (endpoint_id, created_at) WHERE recoverable;

--
-- Name: webhook_history_dead_default_endpoint_id_created_at_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_history_dead_default_endpoint_id_created_at_idx ON public.webhook_history_dead_default USING btree (endpoint_id, created_at) WHERE recoverable;

--
-- Name: webhook_history_endpoint_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_history_endpoint_id_idx ON ONLY public.webhook_history USING brin (endpoint_id uuid_bloom_ops) WITH (pages_per_range='32', autosummarize='on');

--
-- Name: webhook_history_dead_endpoint_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_history_dead_endpoint_id_idx ON ONLY public.webhook_history_dead USING brin (endpoint_id uuid_bloom_ops) WITH (pages_per_range='32', autosummarize='on');

--
-- Name: webhook_history_dead_default_endpoint_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_history_dead_default_endpoint_id_idx ON public.webhook_history_dead_default USING brin (endpoint_id uuid_bloom_ops) WITH (pages_per_range='32', autosummarize='on');

--
-- Name: webhook_history_settled_at_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_history_settled_at_idx ON ONLY public.webhook_history USING brin (settled_at) WITH (pages_per_range='32', autosummarize='on');

--
-- Name: webhook_history_dead_settled_at_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_history_dead_settled_at_idx ON ONLY public.webhook_history_dead USING brin (settled_at) WITH (pages_per_range='32', autosummarize='on');

--
-- Name: webhook_history_dead_default_settled_at_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_history_dead_default_settled_at_idx ON public.webhook_history_dead_default USING brin (settled_at) WITH (pages_per_range='32', autosummarize='on');

--
-- Name: webhook_history_task_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_history_task_id_idx ON ONLY public.webhook_history USING hash (task_id);

--
-- Name: webhook_history_dead_task_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_history_dead_task_id_idx ON ONLY public.webhook_history_dead USING hash (task_id);

--
-- Name: webhook_history_dead_default_task_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_history_dead_default_task_id_idx ON public.webhook_history_dead_default USING hash (task_id);

--
-- Name: webhook_history_delivered_created_at_event_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_history_delivered_created_at_event_id_idx ON ONLY public.webhook_history_delivered USING btree (created_at, event_id);

--
-- Name: webhook_history_delivered_default_created_at_event_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_history_delivered_default_created_at_event_id_idx ON public.webhook_history_delivered_default USING btree (created_at, event_id);

--
-- Name: webhook_history_delivered_endpoint_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_history_delivered_endpoint_id_idx ON ONLY public.webhook_history_delivered USING brin (endpoint_id uuid_bloom_ops) WITH (pages_per_range='32', autosummarize='on');

--
-- Name: webhook_history_delivered_default_endpoint_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_history_delivered_default_endpoint_id_idx ON public.webhook_history_delivered_default USING brin (endpoint_id uuid_bloom_ops) WITH (pages_per_range='32', autosummarize='on');

--
-- Name: webhook_history_delivered_settled_at_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_history_delivered_settled_at_idx ON ONLY public.webhook_history_delivered USING brin (settled_at) WITH (pages_per_range='32', autosummarize='on');

--
-- Name: webhook_history_delivered_default_settled_at_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_history_delivered_default_settled_at_idx ON public.webhook_history_delivered_default USING brin (settled_at) WITH (pages_per_range='32', autosummarize='on');

--
-- Name: webhook_history_delivered_task_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_history_delivered_task_id_idx ON ONLY public.webhook_history_delivered USING hash (task_id);

--
-- Name: webhook_history_delivered_default_task_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_history_delivered_default_task_id_idx ON public.webhook_history_delivered_default USING hash (task_id);

--
-- Name: webhook_installation_one_row; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX webhook_installation_one_row ON public.webhook_installation USING btree ((true));

--
-- Name: webhook_operations_created_at_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_operations_created_at_idx ON public.webhook_operations USING btree (created_at, id);

--
-- Name: webhook_operations_next_batch_at_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_operations_next_batch_at_idx ON public.webhook_operations USING btree (next_batch_at) WHERE (state = ANY (ARRAY['queued'::text, 'running'::text]));

--
-- Name: webhook_outbox_created_at_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_outbox_created_at_idx ON public.webhook_outbox USING btree (created_at, event_id);

--
-- Name: webhook_outbox_event_id_key; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX webhook_outbox_event_id_key ON public.webhook_outbox USING btree (event_id);

--
-- Name: webhook_outbox_lease_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_outbox_lease_idx ON public.webhook_outbox USING btree (COALESCE(lease_until, next_attempt_at)) WHERE (state = 'delivering'::text);

--
-- Name: webhook_outbox_pending_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_outbox_pending_idx ON public.webhook_outbox USING btree (endpoint_id, next_attempt_at, id) WHERE (state = 'pending'::text);

--
-- Name: webhook_stuck_sweep_one_row; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX webhook_stuck_sweep_one_row ON public.webhook_stuck_sweep USING btree ((true));

--
-- Name: webhook_attempts_failed_default_event_id_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_attempts_failed_event_id_idx ATTACH PARTITION public.webhook_attempts_failed_default_event_id_idx;

--
-- Name: webhook_attempts_failed_event_id_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_attempts_event_id_idx ATTACH PARTITION public.webhook_attempts_failed_event_id_idx;

--
-- Name: webhook_attempts_ok_default_event_id_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_attempts_ok_event_id_idx ATTACH PARTITION public.webhook_attempts_ok_default_event_id_idx;

--
-- Name: webhook_attempts_ok_event_id_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_attempts_event_id_idx ATTACH PARTITION public.webhook_attempts_ok_event_id_idx;

--
-- Name: webhook_history_dead_created_at_event_id_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_history_created_at_idx ATTACH PARTITION public.webhook_history_dead_created_at_event_id_idx;

--
-- Name: webhook_history_dead_default_created_at_event_id_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_history_dead_created_at_event_id_idx ATTACH PARTITION public.webhook_history_dead_default_created_at_event_id_idx;

--
-- Name: webhook_history_dead_default_endpoint_id_created_at_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_history_recoverable_idx ATTACH PARTITION public.webhook_history_dead_default_endpoint_id_created_at_idx;

--
-- Name: webhook_history_dead_default_endpoint_id_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_history_dead_endpoint_id_idx ATTACH PARTITION public.webhook_history_dead_default_endpoint_id_idx;

--
-- Name: webhook_history_dead_default_pkey; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_history_dead_pkey ATTACH PARTITION public.webhook_history_dead_default_pkey;

--
-- Name: webhook_history_dead_default_settled_at_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_history_dead_settled_at_idx ATTACH PARTITION public.webhook_history_dead_default_settled_at_idx;

--
-- Name: webhook_history_dead_default_task_id_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_history_dead_task_id_idx ATTACH PARTITION public.webhook_history_dead_default_task_id_idx;

--
-- Name: webhook_history_dead_endpoint_id_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_history_endpoint_id_idx ATTACH PARTITION public.webhook_history_dead_endpoint_id_idx;

--
-- Name: webhook_history_dead_pkey; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_history_pkey ATTACH PARTITION public.webhook_history_dead_pkey;

--
-- Name: webhook_history_dead_settled_at_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_history_settled_at_idx ATTACH PARTITION public.webhook_history_dead_settled_at_idx;

--
-- Name: webhook_history_dead_task_id_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_history_task_id_idx ATTACH PARTITION public.webhook_history_dead_task_id_idx;

--
-- Name: webhook_history_delivered_created_at_event_id_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_history_created_at_idx ATTACH PARTITION public.webhook_history_delivered_created_at_event_id_idx;

--
-- Name: webhook_history_delivered_default_created_at_event_id_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_history_delivered_created_at_event_id_idx ATTACH PARTITION public.webhook_history_delivered_default_created_at_event_id_idx;

--
-- Name: webhook_history_delivered_default_endpoint_id_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_history_delivered_endpoint_id_idx ATTACH PARTITION public.webhook_history_delivered_default_endpoint_id_idx;

--
-- Name: webhook_history_delivered_default_pkey; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_history_delivered_pkey ATTACH PARTITION public.webhook_history_delivered_default_pkey;

--
-- Name: webhook_history_delivered_default_settled_at_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_history_delivered_settled_at_idx ATTACH PARTITION public.webhook_history_delivered_default_settled_at_idx;

--
-- Name: webhook_history_delivered_default_task_id_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_history_delivered_task_id_idx ATTACH PARTITION public.webhook_history_delivered_default_task_id_idx;

--
-- Name: webhook_history_delivered_endpoint_id_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_history_endpoint_id_idx ATTACH PARTITION public.webhook_history_delivered_endpoint_id_idx;

--
-- Name: webhook_history_delivered_pkey; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_history_pkey ATTACH PARTITION public.webhook_history_delivered_pkey;

--
-- Name: webhook_history_delivered_settled_at_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_history_settled_at_idx ATTACH PARTITION public.webhook_history_delivered_settled_at_idx;

--
-- Name: webhook_history_delivered_task_id_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.webhook_history_task_id_idx ATTACH PARTITION public.webhook_history_delivered_task_id_idx;

--
-- Name: agent_stuck_episodes webhook_capture_stuck_agent; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER webhook_capture_stuck_agent AFTER INSERT ON public.agent_stuck_episodes FOR EACH ROW WHEN ((new.ended_at IS NULL)) EXECUTE FUNCTION public.webhook_capture_stuck_agent();

--
-- Name: tasks webhook_capture_task; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER webhook_capture_task AFTER UPDATE ON public.tasks FOR EACH ROW WHEN (((old.status IS DISTINCT FROM new.status) AND ((new.status COLLATE "C") = ANY (ARRAY['completed'::text, 'failed'::text])))) EXECUTE FUNCTION public.webhook_capture_task();

--
-- Name: webhook_endpoints webhook_count_claims; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER webhook_count_claims AFTER INSERT ON public.webhook_endpoints FOR EACH ROW EXECUTE FUNCTION public.webhook_count_claims();

--
-- Name: agents webhook_heartbeat; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER webhook_heartbeat AFTER UPDATE ON public.agents FOR EACH ROW WHEN ((isfinite(new.last_heartbeat) AND ((isfinite(old.last_heartbeat) IS NOT TRUE) OR (new.last_heartbeat > old.last_heartbeat)))) EXECUTE FUNCTION public.webhook_heartbeat();

--
-- Name: projects webhook_url_of_projects; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER webhook_url_of_projects AFTER UPDATE ON public.projects FOR EACH ROW WHEN (((old.webhook_url)::text IS DISTINCT FROM (new.webhook_url)::text)) EXECUTE FUNCTION public.webhook_url_of_projects();

--
-- Name: tickets webhook_url_of_tickets; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER webhook_url_of_tickets AFTER UPDATE ON public.tickets FOR EACH ROW WHEN (((old.webhook_url)::text IS DISTINCT FROM (new.webhook_url)::text)) EXECUTE FUNCTION public.webhook_url_of_tickets();

--
-- Name: webhook_operation_batches webhook_operation_batches_operation_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_operation_batches
    ADD CONSTRAINT webhook_operation_batches_operation_id_fkey FOREIGN KEY (operation_id) REFERENCES public.webhook_operations(id) ON DELETE CASCADE;

--
-- Name: FUNCTION webhook_capture_stuck_agent(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.webhook_capture_stuck_agent() FROM PUBLIC;

--
-- Name: FUNCTION webhook_capture_task(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.webhook_capture_task() FROM PUBLIC;

--
-- Name: FUNCTION webhook_claim(max_rows integer, lease_ms double precision, max_held integer, cap integer, slow_budget integer, held jsonb, hanging uuid[], hot uuid[], after uuid, visits integer, marks jsonb); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.webhook_claim(max_rows integer, lease_ms double precision, max_held integer, cap integer, slow_budget integer, held jsonb, hanging uuid[], hot uuid[], after uuid, visits integer, marks jsonb) FROM PUBLIC;

--
-- Name: FUNCTION webhook_confirm_installation(name text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.webhook_confirm_installation(name text) FROM PUBLIC;

--
-- Name: FUNCTION webhook_end_missing_heartbeat(agent public.agents); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.webhook_end_missing_heartbeat(agent public.agents) FROM PUBLIC;

--
-- Name: FUNCTION webhook_heartbeat(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.webhook_heartbeat() FROM PUBLIC;

--
-- Name: FUNCTION webhook_move_projects(changed public.projects); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.webhook_move_projects(changed public.projects) FROM PUBLIC;

--
-- Name: FUNCTION webhook_move_tickets(changed public.tickets); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.webhook_move_tickets(changed public.tickets) FROM PUBLIC;

--
-- Name: FUNCTION webhook_settle(ids bigint[], tokens uuid[], kinds text[], probes boolean[], waits_ms double precision[], starts timestamp with time zone[], durations_ms integer[], statuses integer[], errors text[], responses text[], recoverables boolean[], pauses boolean[], per_endpoint integer, operator_url text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.webhook_settle(ids bigint[], tokens uuid[], kinds text[], probes boolean[], waits_ms double precision[], starts timestamp with time zone[], durations_ms integer[], statuses integer[], errors text[], responses text[], recoverables boolean[], pauses boolean[], per_endpoint integer, operator_url text) FROM PUBLIC;

--
-- Name: FUNCTION webhook_url_of_projects(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.webhook_url_of_projects() FROM PUBLIC;

--
-- Name: FUNCTION webhook_url_of_tickets(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.webhook_url_of_tickets() FROM PUBLIC;

--
-- PostgreSQL database dump complete
--

