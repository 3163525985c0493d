import { type Kysely, sql } from 'kysely'
import { isUuid } from '../api/schemas/delivery.ts'
import { withoutSecrets } from '../api/without-secrets.ts'
import type { Database } from '../database/tables.ts'

/** Events of each endpoint that are looked at: enough to name whom it is about, and few whatever is owed. */
const looked = 200

/**
 * The projects that wait for endpoints: of the oldest events that are owed to each, and of the newest dead ones that may come
 * back. By the endpoint's id; an endpoint that nobody waits for is not in it.
 */
export async function projectsWaitingFor(
  db: Kysely<Database>,
  endpointIds: readonly string[],
): Promise<Map<string, string[]>> {
  if (endpointIds.length === 0) return new Map()
  const { rows } = await sql<{ id: string; projects: string[] }>`
    select endpoint.id, array_agg(distinct event.project_id order by event.project_id) as projects
    from unnest(${endpointIds}::uuid[]) endpoint (id) cross join lateral (
      (select o.project_id from webhook_outbox o where o.state = 'pending' and o.endpoint_id = endpoint.id
       order by o.endpoint_id, o.next_attempt_at, o.id limit ${looked})
      union all
      (select h.project_id from webhook_history h
       where h.outcome in ('dead', 'discarded') and h.recoverable and h.endpoint_id = endpoint.id
       order by h.created_at desc limit ${looked})
    ) event
    where event.project_id is not null
    group by endpoint.id`.execute(db)
  return new Map(rows.map(({ id, projects }) => [id, projects]))
}

export interface EndpointBrief {
  /** Without query, fragment and credentials. */
  url: string
  breaker: 'closed' | 'open' | 'probing'
  paused: boolean
  /** When dead events to it are tried again by themselves, the oldest first; null where none is. */
  recover_at: string | null
}

/** What the pages of its events say about an endpoint, by its id; one that was not tried yet is not in it. */
export async function endpointsById(
  db: Kysely<Database>,
  ids: readonly string[],
): Promise<Map<string, EndpointBrief>> {
  const known = ids.filter(isUuid)
  if (known.length === 0) return new Map()
  const { rows } = await sql<EndpointBrief & { id: string }>`
    select id, url, breaker, paused_at is not null as paused,
      webhook_time(case when owes_dead then recover_at end) as recover_at
    from webhook_endpoints where id = any(${known}::uuid[])`.execute(db)
  return new Map(rows.map(({ id, url, ...rest }) => [id, { ...rest, url: withoutSecrets(url) }]))
}
