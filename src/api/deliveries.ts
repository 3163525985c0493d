import { Hono } from 'hono'
import type { Kysely } from 'kysely'
import type { Database } from '../database/tables.ts'
import { answer, time } from './answer.ts'
import type { Env, Services } from './context.ts'
import { toPage } from './cursor.ts'
import { type DeliveryRow, findDelivery, listDeliveries, type WaitingLimits } from './delivery-rows.ts'
import { jsonBody, noBody } from './json-body.ts'
import { RawJson } from './json-text.ts'
import { notFound } from './problem.ts'
import { actorOf } from './record-change.ts'
import { discardOne, replayOne } from './resend.ts'
import { deliveryDiscard, deliveryList, isUuid } from './schemas/delivery.ts'
import { valid } from './validate.ts'
import { explainWaiting } from './waiting.ts'
import { withoutSecrets } from './without-secrets.ts'

export function deliveryRoutes({ db, maxInFlightPerEndpoint: perEndpoint, installation }: Services) {
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
      const detail = await deliveryDetail(db, eventId, { perEndpoint, installation })
      if (detail === undefined) throw notFound('delivery')
      return answer(c, 200, detail)
    })
    .post('/:event_id/replay', noBody(), async (c) => {
      const eventId = c.req.param('event_id')
      const endpointId = await replayOne(db, actorOf(c), eventId)
      return answer(c, 202, { matched: 1, event_id: eventId.toLowerCase(), endpoint_id: endpointId })
    })
    .post('/:event_id/discard', jsonBody({ optional: true }), valid('json', deliveryDiscard), async (c) => {
      const eventId = c.req.param('event_id')
      await discardOne(db, actorOf(c), eventId, c.req.valid('json').reason)
      return answer(c, 200, { matched: 1, event_id: eventId.toLowerCase() })
    })
}

/**
 * One event with everything about it, its payload as the bytes that are sent.
 * @returns undefined where it is not kept
 */
export async function deliveryDetail(db: Kysely<Database>, eventId: string, limits: WaitingLimits) {
  const found = isUuid(eventId) ? await findDelivery(db, eventId, limits) : undefined
  if (found === undefined) return undefined
  const { event, attempts } = found
  return {
    ...show(event),
    waiting: explainWaiting(event),
    payload: new RawJson(event.payload),
    attempt_log: attempts.map(({ started_at, attempt, ...rest }) => ({
      attempt,
      started_at: time(started_at),
      ...rest,
    })),
  }
}

function show(row: Omit<DeliveryRow, 'cursor_time'>) {
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
