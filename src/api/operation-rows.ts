import { type Kysely, type RawBuilder, sql, type Transaction } from 'kysely'
import type { Database } from '../database/tables.ts'
import { time } from './answer.ts'
import type { Cursor } from './cursor.ts'
import { where } from './delivery-filter.ts'
import { rawJson } from './json-text.ts'

type Time = Date | number | null

export interface OperationRow {
  id: string
  kind: 'replay' | 'discard'
  filter: string
  reason: string | null
  state: 'queued' | 'running' | 'done' | 'cancelled' | 'failed'
  matched: number
  done: number
  skipped: number
  skipped_reasons: string
  rate: number
  requested_by: string
  created_at: Time
  started_at: Time
  finished_at: Time
  error: string | null
}

const columns = sql`id, kind, filter::text as filter, reason, state, matched, done, skipped,
  skipped_reasons::text as skipped_reasons, rate, requested_by, created_at, started_at, finished_at, error`

/** Newest first, one row more than `limit` where there is one. */
export async function listOperations(
  db: Kysely<Database>,
  filters: { state?: string | undefined; kind?: string | undefined },
  { cursor, limit }: { cursor?: Cursor | undefined; limit: number },
): Promise<(OperationRow & { cursor_time: string })[]> {
  const conditions: RawBuilder<unknown>[] = Object.entries(filters).map(
    ([column, value]) => sql`${sql.ref(column)} = ${value}`,
  )
  if (cursor !== undefined) {
    conditions.push(sql`(created_at, id) < (${cursor.createdAt}::timestamptz, ${cursor.id}::uuid)`)
  }
  const { rows } = await sql<OperationRow & { cursor_time: string }>`
    select ${columns}, to_json(created_at) #>> '{}' as cursor_time from webhook_operations ${where(conditions)}
    order by created_at desc, id desc
    limit ${limit + 1}`.execute(db)
  return rows
}

export async function findOperation(db: Kysely<Database>, id: string): Promise<OperationRow | undefined> {
  const { rows } = await sql<OperationRow>`
    select ${columns} from webhook_operations where id = ${id}::uuid`.execute(db)
  return rows[0]
}

/**
 * Ends an operation and forgets what it had yet to do; waits for the batch that is being done.
 * @returns undefined where it had ended before, or there is none
 */
export async function cancelOperation(
  trx: Transaction<Database>,
  id: string,
): Promise<OperationRow | undefined> {
  const { rows } = await sql<OperationRow>`
    update webhook_operations set state = 'cancelled', finished_at = clock_timestamp()
    where id = ${id}::uuid and state in ('queued', 'running')
    returning ${columns}`.execute(trx)
  await sql`
    delete from webhook_operation_batches b using webhook_operations o
    where o.id = ${id}::uuid and o.state = 'cancelled' and b.operation_id = o.id`.execute(trx)
  return rows[0]
}

export function showOperation(row: OperationRow): object {
  return {
    ...row,
    filter: rawJson(row.filter),
    skipped_reasons: rawJson(row.skipped_reasons),
    created_at: time(row.created_at),
    started_at: time(row.started_at),
    finished_at: time(row.finished_at),
  }
}
