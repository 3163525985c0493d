import { Hono } from 'hono'
import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { z } from 'zod'
import type { Database } from '../database/tables.ts'
import { answer, time } from './answer.ts'
import type { Env, Services } from './context.ts'
import { toPage } from './cursor.ts'
import { where } from './delivery-filter.ts'
import { rawJson } from './json-text.ts'
import { auditList } from './schemas/audit.ts'
import { valid } from './validate.ts'

interface AuditRow {
  id: string
  at: Date
  actor: string
  action: string
  target: string
  detail: string
  cursor_time: string
}

/** What operators changed through the API; see record-change.ts for who writes it. */
export function auditRoutes({ db }: Services) {
  return new Hono<Env>().get('/', valid('query', auditList), async (c) => {
    const query = c.req.valid('query')
    const rows = await listAudit(db, query)
    return answer(
      c,
      200,
      toPage(rows, query.limit, ({ id, at, actor, action, target, detail }) => ({
        item: { id, at: time(at), actor, action, target, detail: rawJson(detail) },
        id,
      })),
    )
  })
}

/** Newest first, one row more than `limit` where there is one. */
async function listAudit(
  db: Kysely<Database>,
  { cursor, limit, from, to, ...equal }: z.output<typeof auditList>,
): Promise<AuditRow[]> {
  const conditions: RawBuilder<unknown>[] = Object.entries(equal).map(
    ([column, value]) => sql`${sql.ref(column)} = ${value}`,
  )
  if (from !== undefined) conditions.push(sql`at >= ${from}::timestamptz`)
  if (to !== undefined) conditions.push(sql`at < ${to}::timestamptz`)
  if (cursor !== undefined) {
    conditions.push(sql`(at, id) < (${cursor.createdAt}::timestamptz, ${cursor.id}::bigint)`)
  }
  const { rows } = await sql<AuditRow>`
    select id, at, actor, action, target, detail::text as detail, to_json(at) #>> '{}' as cursor_time
    from webhook_audit ${where(conditions)}
    order by at desc, id desc
    limit ${limit + 1}`.execute(db)
  return rows
}
