import { type RawBuilder, sql } from 'kysely'

/** What deliveries are selected by: the filters of their list, and of bulk replays and discards. */
export interface DeliveryFilter {
  event_type?: string | undefined
  project_id?: string | undefined
  ticket_id?: string | undefined
  task_id?: string | undefined
  endpoint_id?: string | undefined
  /** A part of last_error. */
  error?: string | undefined
  /** Inclusive. */
  from?: string | undefined
  /** Exclusive. */
  to?: string | undefined
}

/** Conditions on columns that webhook_outbox and webhook_history share; the state, which they do not, is left to the caller. */
export function conditionsOf(filter: DeliveryFilter): RawBuilder<unknown>[] {
  const conditions: RawBuilder<unknown>[] = []
  for (const column of ['event_type', 'project_id', 'ticket_id', 'task_id', 'endpoint_id'] as const) {
    if (filter[column] !== undefined) conditions.push(sql`${sql.ref(column)} = ${filter[column]}`)
  }
  if (filter.error !== undefined) {
    const pattern = `%${filter.error.replaceAll(/[\\%_]/g, '\\$&')}%`
    conditions.push(sql`last_error ilike ${pattern} escape '\\'`)
  }
  if (filter.from !== undefined) conditions.push(sql`created_at >= ${filter.from}::timestamptz`)
  if (filter.to !== undefined) conditions.push(sql`created_at < ${filter.to}::timestamptz`)
  return conditions
}

export function where(conditions: readonly RawBuilder<unknown>[]): RawBuilder<unknown> {
  return conditions.length === 0 ? sql`` : sql`where ${sql.join(conditions, sql` and `)}`
}
