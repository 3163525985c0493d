import { type Kysely, sql } from 'kysely'
import { channel } from '../capture.ts'
import { createClaim, dropClaim } from '../claim.ts'
import { describe } from '../comments.ts'
import { endpointUrl } from '../endpoint.ts'
import { pinnedSearchPath } from '../search-path.ts'
import { createSettle, dropSettle } from '../settle.ts'

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
  await createClaims(db)
  await createClaim(db)
  await createSettle(db)
  await createPause(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop function webhook_pause_endpoint(uuid, text), webhook_resume_endpoint(uuid)`.execute(db)
  await dropSettle(db)
  await dropClaim(db)
  await sql`drop table webhook_endpoints`.execute(db)
  await sql`drop function webhook_count_claims()`.execute(db)
  await sql`drop table webhook_claims`.execute(db)
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
      settled bigint not null default 0,
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

/** Claims and settlements are counted in rows of their own, so that neither waits until the other has committed. */
async function createClaims(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table webhook_claims (
      endpoint_id uuid primary key,
      claimed bigint not null default 0
    ) with (fillfactor = 50)`.execute(db)
  await describe(
    db,
    'table',
    'webhook_claims',
    'One row an endpoint: whoever claims deliveries of it locks the row until what is in flight is counted',
    {
      endpoint_id: 'The endpoint: webhook_endpoints.id',
      claimed: 'Deliveries that were claimed; less webhook_endpoints.settled, they are in flight',
    },
  )
  await sql`
    create function webhook_count_claims() returns trigger
    language plpgsql set search_path = ${await pinnedSearchPath(db)} as $$
    begin
      insert into webhook_claims (endpoint_id, claimed) values (new.id, new.settled)
      on conflict (endpoint_id) do update set claimed = excluded.claimed;
      return null;
    end $$`.execute(db)
  await sql`
    comment on function webhook_count_claims() is 'Counts the claims of a new endpoint from nothing in flight'`.execute(
    db,
  )
  await sql`
    create trigger webhook_count_claims after insert on webhook_endpoints
    for each row execute function webhook_count_claims()`.execute(db)
}

const columnComments = {
  id: 'The endpoint_id of its events',
  url: 'The URL without query and fragment',
  breaker: 'closed: deliveries flow; open: what is owed waits until probe_at; probing: one delivery tries it',
  paused_at: 'Since when what is owed to it waits for a resume; null where it is not paused',
  paused_reason: 'Why it is paused',
  settled: 'Deliveries that ended in any way: webhook_claims.claimed less these are in flight',
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

async function createPause(db: Kysely<unknown>): Promise<void> {
  const path = await pinnedSearchPath(db)
  await sql`
    create function webhook_pause_endpoint(endpoint uuid, reason text) returns boolean
    language sql set search_path = ${path} as $$
      with known as (
        select e.url from webhook_endpoints e where e.id = endpoint
        union all
        (select ${sql.raw(endpointUrl('o.url'))}
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
