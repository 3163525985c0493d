import { Hono } from 'hono'
import { answer, time } from './answer.ts'
import type { Env, Services } from './context.ts'
import { toPage } from './cursor.ts'
import {
  type DeliveryRow,
  findDelivery,
  listDeliveries,
  type Waiting,
  type WebhookEventRow,
} from './delivery-rows.ts'
import { RawJson } from './json-text.ts'
import { notFound } from './problem.ts'
import { deliveryList, isUuid } from './schemas/delivery.ts'
import { valid } from './validate.ts'

export function deliveryRoutes({ db }: Services) {
  return new Hono<Env>()
    .get('/', valid('query', deliveryList), async (c) => {
      const { cursor, limit, ...filters } = c.req.valid('query')
      const rows = await listDeliveries(db, filters, { cursor, limit })
      return answer(
        c,
        200,
        toPage(rows, limit, (row) => ({ item: show(row), id: row.event_id })),
      )
    })
    .get('/:event_id', async (c) => {
      const eventId = c.req.param('event_id')
      const found = isUuid(eventId) ? await findDelivery(db, eventId) : undefined
      if (found === undefined) throw notFound('delivery')
      const { event, attempts } = found
      return answer(c, 200, {
        ...show(event),
        waiting: explainWaiting(event),
        payload: new RawJson(event.payload),
        attempt_log: attempts.map(({ started_at, attempt, ...rest }) => ({
          attempt,
          started_at: time(started_at),
          ...rest,
        })),
      })
    })
}

function show(row: Omit<DeliveryRow, 'cursor_time'>): object {
  return {
    event_id: row.event_id,
    event_type: row.event_type,
    entity_type: row.entity_type,
    entity_id: row.entity_id,
    project_id: row.project_id,
    ticket_id: row.ticket_id,
    task_id: row.task_id,
    agent_id: row.agent_id,
    url: withoutSecrets(row.url),
    endpoint_id: row.endpoint_id,
    state: row.state,
    attempts: row.attempts,
    next_attempt_at: time(row.next_attempt_at),
    last_status: row.last_status,
    last_error: row.last_error,
    created_at: time(row.created_at),
    settled_at: time(row.settled_at),
  }
}

/** Who may read deliveries need not know what a URL's query and credentials hold; SQL may have stored anything. */
export function withoutSecrets(url: string): string {
  const parsed = URL.parse(url)
  if (parsed !== null && parsed.origin !== 'null') return parsed.origin + parsed.pathname
  const endpoint = url.split(/[?#]/, 1)[0]!
  return endpoint.slice(endpoint.lastIndexOf('@') + 1)
}

function explainWaiting(event: WebhookEventRow & Waiting): object | null {
  switch (event.state) {
    case 'delivered':
    case 'dead':
    case 'discarded':
      return null
    case 'delivering':
      if (event.lease_expired !== true) {
        const detail = 'a dispatcher is sending it; its lease lasts until then'
        return { reason: 'delivering', until: time(event.lease_until), detail }
      }
      return {
        reason: 'due',
        until: null,
        detail: 'its dispatcher did not report back: the next one to look takes it',
      }
    case 'pending':
      if (event.is_due)
        return { reason: 'due', until: null, detail: 'the next dispatcher with room for it takes it' }
      return {
        reason: 'backing_off',
        until: time(event.next_attempt_at),
        detail:
          event.attempts === 0
            ? 'its first attempt was put off until then'
            : `attempt ${event.attempts} failed; the next one is made then`,
      }
    default:
      return event.state satisfies never
  }
}
