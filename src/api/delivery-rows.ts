import { type Kysely, type RawBuilder, sql } from 'kysely'
import { inFlight } from '../../db/endpoint.ts'
import type { Database, WebhookAttempts, WebhookEvents } from '../database/tables.ts'
import { isDispatched } from '../observe/dispatchers.ts'
import type { Cursor } from './cursor.ts'
import { conditionsOf, type DeliveryFilter, where } from './delivery-filter.ts'
import type { WaitingFor } from './waiting.ts'

/** What a page of deliveries shows; the payload is left where it is. */
export type DeliveryRow = Omit<WebhookEventRow, 'payload'> & { cursor_time: string }

export interface WebhookEventRow {
  event_id: string
  event_type: string
  entity_type: string
  entity_id: string
  project_id: string | null
  ticket_id: string | null
  task_id: string | null
  agent_id: string | null
  url: string
  payload: string
  endpoint_id: string
  state: WebhookEvents['state']
  attempts: number
  next_attempt_at: Date | number | null
  last_status: number | null
  last_error: string | null
  created_at: Date | number
  settled_at: Date | number | null
}

export interface DeliveryQuery extends DeliveryFilter {
  state?: WebhookEvents['state'] | undefined
}

const shared = sql`event_id, event_type, entity_type, entity_id, project_id, ticket_id, task_id, agent_id, url,
  endpoint_id, attempts, last_status, last_error, created_at`
const owed = sql`select ${shared}, state, next_attempt_at, null::timestamptz as settled_at from webhook_outbox`
const settled = sql`select ${shared}, outcome as state, null::timestamptz as next_attempt_at, settled_at from webhook_history`

/**
 * Newest first, one row more than `limit` where there is one. Outbox and history are limited each for themselves, so
 * that a page reads the head of an index of each partition; and in one statement, so that an event which moves from
 * one to the other meanwhile is seen once. Measured: 5 ms a page with 200,000 settled and 20,000 owed.
 */
export async function listDeliveries(
  db: Kysely<Database>,
  query: DeliveryQuery,
  { cursor, limit }: { cursor?: Cursor | undefined; limit: number },
): Promise<DeliveryRow[]> {
  const { state } = query
  const conditions = conditionsOf(query)
  if (cursor !== undefined) {
    conditions.push(sql`(created_at, event_id) < (${cursor.createdAt}::timestamptz, ${cursor.id}::uuid)`)
  }
  const page = sql`order by created_at desc, event_id desc limit ${limit + 1}`
  const branches: RawBuilder<unknown>[] = []
  if (state === undefined || state === 'pending' || state === 'delivering') {
    const own = state === undefined ? conditions : [...conditions, sql`state = ${state}`]
    branches.push(sql`(${owed} ${where(own)} ${page})`)
  }
  if (state !== 'pending' && state !== 'delivering') {
    const own = state === undefined ? conditions : [...conditions, sql`outcome = ${state}`]
    branches.push(sql`(${settled} ${where(own)} ${page})`)
  }
  const { rows } = await sql<DeliveryRow>`
    select *, to_json(created_at) #>> '{}' as cursor_time
    from (${sql.join(branches, sql` union all `)}) events ${page}`.execute(db)
  return rows
}

/** What an event may wait for: deliveries in flight to one endpoint, at most, and the installation of this service. */
export interface WaitingLimits {
  perEndpoint: number
  installation: string | null | undefined
}

/** One event with everything about it; undefined where it is not kept (any more). */
export async function findDelivery(
  db: Kysely<Database>,
  eventId: string,
  { perEndpoint, installation = null }: WaitingLimits,
): Promise<{ event: WebhookEventRow & WaitingFor; attempts: WebhookAttemptRow[] } | undefined> {
  const { rows } = await sql<WebhookEventRow & WaitingFor>`
    select event.*, event.next_attempt_at <= now() as is_due, owed.lease_until, owed.lease_until <= now() as lease_expired,
      ${isDispatched} as dispatched,
      exists (select from webhook_installation i where i.name is distinct from ${installation}) as foreign,
      e.breaker, e.probe_at, e.opened_at, e.paused_at, e.paused_reason,
      ${sql.raw(inFlight('e', 'claims'))} as in_flight,
      least(e.slots, coalesce(e.max_in_flight, ${perEndpoint}::integer)) as capacity
    from webhook_events event
    left join webhook_outbox owed on owed.event_id = event.event_id and event.settled_at is null
    left join webhook_endpoints e on e.id = owed.endpoint_id
    left join webhook_claims claims on claims.endpoint_id = e.id
    where event.event_id = ${eventId}`.execute(db)
  const event = rows[0]
  if (event === undefined) return undefined
  const attempts = await sql<WebhookAttemptRow>`
    select attempt, started_at, duration_ms, status, error, response from webhook_attempts
    where event_id = ${eventId} order by attempt, started_at`.execute(db)
  return { event, attempts: attempts.rows }
}

export type WebhookAttemptRow = Omit<WebhookAttempts, 'event_id' | 'started_at'> & {
  started_at: Date | number
}
