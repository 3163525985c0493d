import { Hono } from 'hono'
import { type Kysely, sql, type Transaction } from 'kysely'
import { formatDuration } from '../config.ts'
import type { Database } from '../database/tables.ts'
import { answer, time } from './answer.ts'
import type { Env, Services } from './context.ts'
import { toPage } from './cursor.ts'
import { healthOf } from './endpoint-health.ts'
import {
  type Backlog,
  backlogOf,
  type EndpointRow,
  ensureEndpoint,
  findEndpoint,
  listEndpoints,
} from './endpoint-rows.ts'
import { refuseToSendAsCopy } from './installation.ts'
import { jsonBody, noBody } from './json-body.ts'
import { patchEndpoint } from './patch-endpoint.ts'
import { noEndpoint } from './problem.ts'
import { actorOf, recordChange } from './record-change.ts'
import { isUuid } from './schemas/delivery.ts'
import { endpointList, endpointPatch, endpointPause } from './schemas/endpoint.ts'
import { testEndpoint } from './test-endpoint.ts'
import { inTransaction } from './transaction.ts'
import { valid } from './validate.ts'
import { withoutSecrets } from './without-secrets.ts'

/**
 * Endpoints: URLs without their query. The list has those that events were sent or are owed to; one that is only configured is
 * found by its id, and has a row from the first change by an operator on.
 */
export function endpointRoutes({ db, sender, leaseMs, installation }: Services) {
  const patch = endpointPatch({ leaseMs })
  return new Hono<Env>()
    .get('/', valid('query', endpointList), async (c) => {
      const { cursor, limit, ...filter } = c.req.valid('query')
      const rows = await listEndpoints(db, filter, { cursor, limit })
      const owed = await backlogOf(
        db,
        rows.map((row) => row.id),
      )
      return answer(
        c,
        200,
        toPage(rows, limit, (row) => ({ item: showEndpoint(row, owed.get(row.id)), id: row.id })),
      )
    })
    .get('/:id', async (c) => answer(c, 200, await shown(db, c.req.param('id'))))
    .patch('/:id', jsonBody({ patch: true }), valid('json', patch), async (c) => {
      const body = c.req.valid('json')
      const item = await change(db, c.req.param('id'), (trx, id) => patchEndpoint(trx, actorOf(c), id, body))
      return answer(c, 200, item)
    })
    .post('/:id/pause', jsonBody({ optional: true }), valid('json', endpointPause), async (c) => {
      const { reason } = c.req.valid('json')
      const item = await change(db, c.req.param('id'), async (trx, id) => {
        await sql`select webhook_pause_endpoint(${id}::uuid, ${reason ?? 'paused by an operator'})`.execute(
          trx,
        )
        return recordChange(trx, actorOf(c), {
          action: 'endpoint.pause',
          target: `endpoints/${id}`,
          detail: reason === undefined ? {} : { reason },
        })
      })
      return answer(c, 200, item)
    })
    .post('/:id/resume', noBody(), async (c) => {
      const item = await change(db, c.req.param('id'), async (trx, id) => {
        await sql`select webhook_resume_endpoint(${id}::uuid)`.execute(trx)
        return recordChange(trx, actorOf(c), { action: 'endpoint.resume', target: `endpoints/${id}` })
      })
      return answer(c, 200, item)
    })
    .post('/:id/test', noBody(), async (c) => {
      const id = c.req.param('id').toLowerCase()
      if (!isUuid(id)) throw noEndpoint()
      await refuseToSendAsCopy(db, installation)
      return answer(c, 200, await testEndpoint({ db, sender }, actorOf(c), id))
    })
}

async function shown(db: Kysely<Database>, given: string): Promise<object> {
  const id = given.toLowerCase()
  const row = isUuid(id) ? await findEndpoint(db, id) : undefined
  if (row === undefined) throw noEndpoint()
  return showEndpoint(row, (await backlogOf(db, [id])).get(id))
}

/** Changes an endpoint, which gets its row now where it has none, and shows what it has become. */
async function change(
  db: Kysely<Database>,
  given: string,
  run: (trx: Transaction<Database>, id: string) => Promise<void>,
): Promise<object> {
  const id = given.toLowerCase()
  if (!isUuid(id)) throw noEndpoint()
  await inTransaction(db, [], async (trx) => {
    if ((await ensureEndpoint(trx, id)) === undefined) throw noEndpoint()
    await run(trx, id)
  })
  return shown(db, id)
}

export function showEndpoint(row: EndpointRow, owed: Backlog | undefined) {
  const { due = 0, waiting = 0, delivering = 0 } = owed ?? {}
  const duration = (ms: number | null) => (ms === null ? null : formatDuration(ms))
  return {
    id: row.id,
    url: withoutSecrets(row.url),
    ...healthOf(row, owed),
    breaker: row.breaker ?? 'closed',
    failures: row.failures ?? 0,
    next_probe_at: time(row.probe_at),
    paused_at: time(row.paused_at),
    paused_reason: row.paused_reason,
    owed: due + waiting + delivering,
    due,
    waiting,
    in_flight: delivering,
    oldest_due_seconds: owed?.oldest_due_seconds ?? null,
    next_attempt_at: time(owed?.next_attempt_at ?? null),
    counted_at: owed === undefined ? new Date().toISOString() : time(owed.counted_at),
    slots: row.slots,
    slow: row.slow,
    last_success_at: time(row.last_success_at),
    last_failure_at: time(row.last_failure_at),
    last_status: row.last_status,
    last_error: row.last_error,
    max_in_flight: row.max_in_flight,
    retry_schedule: row.retry_schedule?.map(formatDuration) ?? null,
    timeout: duration(row.timeout),
    max_owed_age: duration(row.max_owed_age),
    header_names: row.header_names ?? [],
    signing_secrets: row.signing_secrets ?? 0,
    created_at: time(row.created_at),
    used_at: time(row.used_at),
  }
}
