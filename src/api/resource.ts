import { Hono } from 'hono'
import type { Transaction } from 'kysely'
import type { z } from 'zod'
import type { Database } from '../database/tables.ts'
import { answer } from './answer.ts'
import type { Env, Services } from './context.ts'
import { continueTrace } from './continue-trace.ts'
import { toPage } from './cursor.ts'
import { isDuplicateId } from './database-problem.ts'
import { findRow, insertRow, listRows, lockKey, type Selection, updateRow, type Values } from './host-rows.ts'
import { bodyLimit, jsonBody } from './json-body.ts'
import { invalid, notFound, Problem } from './problem.ts'
import { actorOf, recordChange } from './record-change.ts'
import { missingReferences, type References } from './references.ts'
import type { paging } from './schemas/query.ts'
import { inTransaction } from './transaction.ts'
import { valid } from './validate.ts'
import { withoutSecrets } from './without-secrets.ts'

/** One of the host's tables as a resource of the API. */
export interface Resource<Row extends { id: string }> extends Selection<Row> {
  /** What one of them is called. */
  noun: string
  schemas: {
    create: z.ZodObject
    /** Absent: nothing of it can be patched. */
    patch?: z.ZodObject
    /** Its parameters besides those of paging are columns to filter by, or stand in `filters`. */
    list: z.ZodObject<typeof paging & Record<string, z.ZodType>>
  }
  /** Columns that hold the id of something else, which must exist. */
  references?: References
  /** What is written, where it is not what was sent. */
  toInsert?: (body: Values) => Values
  toUpdate?: (body: Values) => Values
  bodyLimit?: number
  /** A patch may be captured as an event, which goes on in the trace of the request. */
  traced?: true
}

/** POST and GET of all, GET and PATCH of one. */
export function resourceRoutes<Row extends { id: string }>(
  services: Services,
  resource: Resource<Row>,
): Hono<Env> {
  const { db } = services
  const { table, noun, schemas } = resource
  const limit = resource.bodyLimit ?? bodyLimit
  const routes = new Hono<Env>()

  routes.post('/', jsonBody({ limit }), valid('json', schemas.create), async (c) => {
    const body: Values = c.req.valid('json')
    const values = resource.toInsert?.(body) ?? body
    const row = await inTransaction(db, Object.keys(schemas.create.shape), (trx) =>
      create(trx, resource, values),
    )
    return answer(c, 201, resource.show(row), { location: `/api/v1/${table}/${encodeURIComponent(row.id)}` })
  })

  routes.get('/', valid('query', schemas.list), async (c) => {
    const { cursor, limit, ...filters } = c.req.valid('query') as z.output<z.ZodObject<typeof paging>>
    const rows = await listRows(db, resource, filters, { cursor, limit })
    const page = toPage(rows, limit, (row) => ({ item: resource.show(row), id: row.id }))
    return answer(c, 200, page)
  })

  routes.get('/:id', async (c) => {
    const row = await findRow(db, resource, c.req.param('id'))
    if (row === undefined) throw notFound(noun)
    return answer(c, 200, resource.show(row))
  })

  const { patch } = schemas
  if (patch === undefined) return routes
  routes.patch('/:id', jsonBody({ limit, patch: true }), valid('json', patch), async (c) => {
    const id = c.req.param('id')
    const body: Values = c.req.valid('json')
    const values = resource.toUpdate?.(body) ?? body
    const row = await inTransaction(db, Object.keys(patch.shape), async (trx) => {
      if (resource.traced === true) await continueTrace(trx, c.req.header('traceparent'))
      const changed = await change(trx, resource, id, values)
      if (changed !== undefined) await recordUrl(trx, actorOf(c), `${table}/${changed.id}`, values)
      return changed
    })
    if (row === undefined) throw notFound(noun)
    return answer(c, 200, resource.show(row))
  })
  return routes
}

async function create<Row extends { id: string }>(
  trx: Transaction<Database>,
  resource: Resource<Row>,
  values: Values,
): Promise<Row> {
  const { table, noun } = resource
  const id = values['id'] as string | undefined
  const duplicate = () =>
    new Problem(409, `there is already a ${noun} with this id: patch it, or send another id`)
  // A host's table may lack a unique constraint; where it has one, the insert settles it.
  if (id !== undefined && (await lockKey(trx, table, id))) throw duplicate()
  const missing = await missingReferences(trx, resource.references, values)
  if (missing.length > 0) throw invalid(missing)
  const row = await insertRow(trx, resource, values).catch((error: unknown) => {
    throw isDuplicateId(error, table) ? duplicate() : error
  })
  if (row === undefined) throw suppressed(noun)
  return row
}

/** Where events go is what an operator asks about when they stop coming. */
async function recordUrl(
  trx: Transaction<Database>,
  actor: string,
  target: string,
  { webhook_url: url }: Values,
): Promise<void> {
  if (url === undefined) return
  const shown = typeof url === 'string' ? withoutSecrets(url) : null
  await recordChange(trx, actor, { action: 'webhook_url.change', target, detail: { webhook_url: shown } })
}

function suppressed(noun: string): Problem {
  return invalid([{ pointer: '#', detail: `a trigger of the database did not let the ${noun} be stored` }])
}

async function change<Row extends { id: string }>(
  trx: Transaction<Database>,
  resource: Resource<Row>,
  id: string,
  values: Values,
): Promise<Row | undefined> {
  if (Object.keys(values).length === 0) return findRow(trx, resource, id)
  const missing = await missingReferences(trx, resource.references, values)
  const row = missing.length === 0 ? await updateRow(trx, resource, id, values) : undefined
  if (row !== undefined || !(await lockKey(trx, resource.table, id))) return row
  throw missing.length > 0 ? invalid(missing) : suppressed(resource.noun)
}
