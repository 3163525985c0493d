import { Hono } from 'hono'
import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { z } from 'zod'
import type { Database } from '../database/tables.ts'
import { batchSize } from '../operations/pace.ts'
import { answer } from './answer.ts'
import type { Env, Services } from './context.ts'
import { conditionsOf, type DeliveryFilter, where } from './delivery-filter.ts'
import { jsonBody } from './json-body.ts'
import { findOperation, type OperationRow, showOperation } from './operation-rows.ts'
import { actorOf, recordChange } from './record-change.ts'
import { deliveryFilters } from './schemas/delivery.ts'
import { discardRequest, replayRequest } from './schemas/operation.ts'
import { inTransaction } from './transaction.ts'
import { valid } from './validate.ts'

/**
 * Replays and discards by filter. A dry run counts; the other writes down which events the filter selects at this moment,
 * and a dispatcher takes them batch by batch (src/operations): nothing is touched that came or changed its place after.
 */
export function replayRoutes({ db }: Services) {
  return new Hono<Env>().post('/', jsonBody(), valid('json', replayRequest), async (c) => {
    const body = c.req.valid('json')
    const selection = settledBy(body)
    if (body.dry_run) return answer(c, 200, await dryRun(db, selection, noUrl))
    return started(c, await start(db, actorOf(c), { kind: 'replay', selection, body, reason: null }))
  })
}

export function discardRoutes({ db }: Services) {
  return new Hono<Env>().post('/', jsonBody(), valid('json', discardRequest), async (c) => {
    const body = c.req.valid('json')
    const selection = owedBy(body)
    if (body.dry_run) return answer(c, 200, await dryRun(db, selection, inFlight))
    const reason = body.reason ?? null
    return started(c, await start(db, actorOf(c), { kind: 'discard', selection, body, reason }))
  })
}

type Request = z.output<typeof replayRequest> | z.output<typeof discardRequest>

/** The events that a filter selects. */
interface Selection {
  /** A table, as `event`. */
  table: RawBuilder<unknown>
  where: RawBuilder<unknown>
  /** The column that holds their state. */
  state: RawBuilder<unknown>
}

function settledBy(body: z.output<typeof replayRequest>): Selection {
  return select('webhook_history', 'outcome', body, body.state)
}

function owedBy(body: z.output<typeof discardRequest>): Selection {
  return select('webhook_outbox', 'state', body, body.state)
}

function select(table: string, column: string, filter: DeliveryFilter, state: string | undefined): Selection {
  const conditions = conditionsOf(filter)
  if (state !== undefined) conditions.push(sql`${sql.ref(column)} = ${state}`)
  return { table: sql`${sql.table(table)} event`, where: where(conditions), state: sql.ref(column) }
}

/** What would be skipped as things are now. */
interface Skip {
  reason: string
  /** What the condition needs besides the `event`. */
  join: RawBuilder<unknown>
  condition: RawBuilder<unknown>
}

const noUrl: Skip = {
  reason: 'no_url',
  join: sql`cross join lateral webhook_url_now(event.ticket_id, event.project_id) configured (url_now)`,
  condition: sql`url_now is null`,
}
const inFlight: Skip = { reason: 'in_flight', join: sql``, condition: sql`state = 'delivering'` }

async function dryRun(db: Kysely<Database>, selection: Selection, skip: Skip): Promise<object> {
  const { rows } = await sql<{ state: string; events: number; skipped: number }>`
    select ${selection.state} as state, count(*)::integer as events,
      (count(*) filter (where ${skip.condition}))::integer as skipped
    from ${selection.table} ${skip.join} ${selection.where} group by 1 order by 1`.execute(db)
  const sum = (of: 'events' | 'skipped') => rows.reduce((total, row) => total + row[of], 0)
  const skipped = sum('skipped')
  return {
    matched: sum('events'),
    dry_run: true,
    states: Object.fromEntries(rows.map(({ state, events }) => [state, events])),
    would_skip: skipped === 0 ? {} : { [skip.reason]: skipped },
  }
}

/**
 * Writes an operation and the events that it selects, in one statement and so of one moment, oldest first.
 * @returns the operation, queued; done already where nothing was selected
 */
async function start(
  db: Kysely<Database>,
  actor: string,
  request: { kind: OperationRow['kind']; selection: Selection; body: Request; reason: string | null },
): Promise<OperationRow> {
  const { kind, selection, body, reason } = request
  const filter = filterOf(body)
  return inTransaction(db, [], async (trx) => {
    const { rows } = await sql<{ id: string; matched: number }>`
      with operation as (
        insert into webhook_operations (kind, filter, reason, rate, requested_by)
        values (${kind}, ${JSON.stringify(filter)}::jsonb, ${reason}, ${body.rate}, ${actor})
        returning id
      ),
      selected as (
        select event_id, row_number() over (order by created_at, event_id) - 1 as place
        from ${selection.table} ${selection.where}
      ),
      batches as (
        insert into webhook_operation_batches (operation_id, n, event_ids)
        select o.id, s.place / ${batchSize(body.rate)}::integer, array_agg(s.event_id order by s.place)
        from operation o cross join selected s group by 1, 2
        returning cardinality(event_ids) as events
      )
      select o.id, (select coalesce(sum(b.events), 0)::integer from batches b) as matched from operation o`.execute(
      trx,
    )
    const { id, matched } = rows[0]!
    await sql`
      update webhook_operations set matched = ${matched},
        state = case when ${matched} = 0 then 'done' else state end,
        finished_at = case when ${matched} = 0 then clock_timestamp() end
      where id = ${id}`.execute(trx)
    const detail = { filter, matched, rate: body.rate, ...(reason === null ? {} : { reason }) }
    await recordChange(trx, actor, { action: `${kind}s.start`, target: `operations/${id}`, detail })
    return (await findOperation(trx, id))!
  })
}

/** The filters of a request, as they were given. */
function filterOf(body: Request): object {
  return Object.fromEntries(Object.entries(body).filter(([name]) => name in deliveryFilters))
}

function started(c: Parameters<typeof answer>[0], row: OperationRow): Response {
  const body = { matched: row.matched, dry_run: false, operation: showOperation(row) }
  return answer(c, 202, body, { location: `/api/v1/operations/${row.id}` })
}
