import { type Kysely, type RawBuilder, sql, type Transaction } from 'kysely'
import { endpointIdOf, endpointUrl } from '../../db/endpoint.ts'
import type { Database } from '../database/tables.ts'
import type { Cursor } from './cursor.ts'
import { where } from './delivery-filter.ts'

type Time = Date | number | null

/** An endpoint; where it has no row yet, `breaker` and what else only a row can tell is null. */
export interface EndpointRow {
  id: string
  /** Without query and fragment. */
  url: string
  created_at: Time
  breaker: 'closed' | 'open' | 'probing' | null
  paused_at: Time
  paused_reason: string | null
  slots: number | null
  slow: boolean | null
  failures: number | null
  failing_since: Time
  opened_at: Time
  probe_at: Time
  owes_dead: boolean | null
  recover_at: Time
  last_success_at: Time
  last_failure_at: Time
  last_status: number | null
  last_error: string | null
  max_in_flight: number | null
  /** Milliseconds, as are the other intervals. */
  retry_schedule: number[] | null
  timeout: number | null
  max_owed_age: number | null
  header_names: string[] | null
  /** How many it has of its own. */
  signing_secrets: number | null
  used_at: Time
}

/** What is owed to an endpoint, as webhook_backlog has it. */
export interface Backlog {
  endpoint_id: string
  due: number
  waiting: number
  delivering: number
  oldest_due_seconds: number | null
  next_attempt_at: Time
  counted_at: Time
}

export interface EndpointFilter {
  breaker?: EndpointRow['breaker'] | undefined
  paused?: boolean | undefined
  owed?: boolean | undefined
}

const columns = sql`breaker, paused_at, paused_reason, slots, slow, failures, failing_since, opened_at, probe_at,
  owes_dead, recover_at, last_success_at, last_failure_at, last_status, last_error, max_in_flight,
  (select array_agg((extract(epoch from wait) * 1000)::float8 order by n)
   from unnest(retry_schedule) with ordinality waits (wait, n)) as waits, cardinality(retry_schedule) = 0 as no_retries,
  (extract(epoch from timeout) * 1000)::float8 as timeout,
  (extract(epoch from max_owed_age) * 1000)::float8 as max_owed_age,
  (select array_agg(name order by name) from jsonb_object_keys(headers) name) as header_names, cardinality(secrets) as signing_secrets, used_at`

type SelectedRow = Omit<EndpointRow, 'retry_schedule'> & {
  waits: number[] | null
  no_retries: boolean | null
}

function toRow<Row extends SelectedRow>({ waits, no_retries, ...row }: Row) {
  return { ...row, retry_schedule: no_retries === true ? [] : waits }
}

/**
 * Newest first, one row more than `limit` where there is one: endpoints that have a row, and those that are owed
 * something and were not claimed yet, as of their first event. The latter are found from endpoint to endpoint on the index of
 * the claim, whatever is owed to each.
 */
export async function listEndpoints(
  db: Kysely<Database>,
  filter: EndpointFilter,
  { cursor, limit }: { cursor?: Cursor | undefined; limit: number },
): Promise<(EndpointRow & { cursor_time: string })[]> {
  const conditions: RawBuilder<unknown>[] = []
  if (filter.breaker !== undefined) conditions.push(sql`coalesce(e.breaker, 'closed') = ${filter.breaker}`)
  if (filter.paused !== undefined) conditions.push(sql`(e.paused_at is not null) = ${filter.paused}`)
  if (filter.owed !== undefined) conditions.push(sql`(${isOwed}) = ${filter.owed}`)
  if (cursor !== undefined) {
    conditions.push(
      sql`(known.created_at, known.id) < (${cursor.createdAt}::timestamptz, ${cursor.id}::uuid)`,
    )
  }
  const { rows } = await sql<SelectedRow & { cursor_time: string }>`
    with recursive owed (id) as (
      (select endpoint_id from webhook_outbox where state = 'pending' order by endpoint_id limit 1)
      union all
      select (select o.endpoint_id from webhook_outbox o where o.state = 'pending' and o.endpoint_id > owed.id
        order by o.endpoint_id limit 1)
      from owed where owed.id is not null
    ),
    known as (
      select id, url, created_at from webhook_endpoints
      union all
      select owed.id, ${sql.raw(endpointUrl('o.url'))}, o.created_at
      from owed cross join lateral (
        select p.url, p.created_at from webhook_outbox p where p.state = 'pending' and p.endpoint_id = owed.id
        order by p.endpoint_id, p.next_attempt_at, p.id limit 1
      ) o
      where not exists (select from webhook_endpoints e where e.id = owed.id)
    )
    select known.id, known.url, known.created_at, to_json(known.created_at) #>> '{}' as cursor_time, ${columns}
    from known left join webhook_endpoints e on e.id = known.id
    ${where(conditions)}
    order by known.created_at desc, known.id desc
    limit ${limit + 1}`.execute(db)
  return rows.map(toRow)
}

/**
 * What is owed to all endpoints together, and the endpoints that fail or are paused: first those that do not answer, then paused
 * ones, then those whose last attempt failed, each by what is owed to them. In one statement, which counts once.
 * @returns at most `limit` endpoints, and how many are in trouble
 */
export async function lookForTrouble(
  db: Kysely<Database>,
  limit: number,
): Promise<{
  total: BacklogTotal
  troubles: number
  troubled: { row: EndpointRow; owed: Backlog | undefined }[]
}> {
  type Row = SelectedRow & Partial<Backlog> & { total: BacklogTotal; troubles: number | null }
  const { rows } = await sql<Row>`
    with backlog as materialized (
      select endpoint_id, due::integer as due, waiting::integer as waiting, delivering::integer as delivering,
        extract(epoch from oldest_due_age)::float8 as oldest_due_seconds, next_attempt_at, counted_at
      from webhook_backlog
    ),
    total as (
      select count(*)::integer as endpoints, coalesce(sum(due), 0)::integer as due, coalesce(sum(waiting), 0)::integer as waiting,
        coalesce(sum(delivering), 0)::integer as delivering, max(oldest_due_seconds) as oldest_due_seconds
      from backlog
    )
    select to_json(total)::jsonb as total, troubled.*
    from total left join (
      select e.id, e.url, e.created_at, ${columns}, (count(*) over ())::integer as troubles, b.*
      from webhook_endpoints e left join backlog b on b.endpoint_id = e.id
      where e.breaker <> 'closed' or e.paused_at is not null or e.failures > 0
      order by case when e.paused_at is not null then 1 when e.breaker <> 'closed' then 0 else 2 end,
        coalesce(b.due + b.waiting + b.delivering, 0) desc, e.id
      limit ${limit}
    ) troubled on true`.execute(db)
  const { total, troubles } = rows[0]!
  return {
    total,
    troubles: troubles ?? 0,
    troubled: rows
      .filter(({ id }: { id: string | null }) => id !== null)
      .map((row) => ({ row: toRow(row), owed: row.endpoint_id == null ? undefined : (row as Backlog) })),
  }
}

export interface BacklogTotal {
  /** That something is owed to. */
  endpoints: number
  due: number
  waiting: number
  delivering: number
  oldest_due_seconds: number | null
}

const isOwed = sql`exists (select from webhook_claims c where c.endpoint_id = known.id and c.claimed > e.settled)
  or exists (select from webhook_outbox o where o.state = 'pending' and o.endpoint_id = known.id)`

/** One endpoint: by its row, by what is owed to it, or by a webhook_url that is configured; undefined where there is none. */
export async function findEndpoint(db: Kysely<Database>, id: string): Promise<EndpointRow | undefined> {
  const { rows } = await sql<SelectedRow>`
    select known.id, known.url, e.created_at, ${columns}
    from (select ${id}::uuid as id, coalesce(
      (select url from webhook_endpoints where id = ${id}::uuid),
      ${urlOfId(id)}) as url) known
    left join webhook_endpoints e on e.id = known.id
    where known.url is not null`.execute(db)
  return rows[0] && toRow(rows[0])
}

/**
 * Makes its row where it has none yet, so that an operator can set it up before the first event.
 * @returns its URL without the query; undefined where there is no such endpoint
 */
export async function ensureEndpoint(trx: Transaction<Database>, id: string): Promise<string | undefined> {
  const url = async () => {
    const { rows } = await sql<{ url: string }>`
      select url from webhook_endpoints where id = ${id}::uuid for update`.execute(trx)
    return rows[0]?.url
  }
  const known = await url()
  if (known !== undefined) return known
  await sql`
    insert into webhook_endpoints (id, url)
    select ${id}::uuid, known.url from (select ${urlOfId(id)} as url) known where known.url is not null
    on conflict do nothing`.execute(trx)
  return url()
}

/** Asked only for ids without a row: it looks through the host's URLs. */
function urlOfId(id: string): RawBuilder<unknown> {
  const owed = (state: string) => sql`
    (select ${sql.raw(endpointUrl('url'))} from webhook_outbox where state = ${sql.lit(state)} and endpoint_id = ${id}::uuid limit 1)`
  const configured = (table: string) => sql`
    (select ${sql.raw(endpointUrl('webhook_url'))} from ${sql.table(table)}
     where webhook_url <> '' and ${sql.raw(endpointIdOf('webhook_url'))} = ${id}::uuid limit 1)`
  return sql`coalesce(${owed('pending')}, ${owed('delivering')}, ${configured('tickets')}, ${configured('projects')})`
}

/** What is owed to these endpoints, by their ids. */
export async function backlogOf(db: Kysely<Database>, ids: readonly string[]): Promise<Map<string, Backlog>> {
  const { rows } = await sql<Backlog>`
    select endpoint_id, due::integer as due, waiting::integer as waiting, delivering::integer as delivering,
      extract(epoch from oldest_due_age)::float8 as oldest_due_seconds, next_attempt_at, counted_at
    from webhook_backlog where endpoint_id = any(${ids}::uuid[])`.execute(db)
  return new Map(rows.map((row) => [row.endpoint_id, row]))
}
