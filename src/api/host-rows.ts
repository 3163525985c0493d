import { randomUUID } from 'node:crypto'
import { type Kysely, type RawBuilder, sql, type Transaction } from 'kysely'
import type { Database } from '../database/tables.ts'
import type { Cursor } from './cursor.ts'

/**
 * Rows of the host's tables, whose columns may have other types than ours: an enum for a status, a timestamp without
 * a zone. Values go in as parameters that take the column's type; what comes out is cast in `columns`.
 */
export type HostTable = 'projects' | 'tickets' | 'tasks' | 'agents'

/** A value to write: RawBuilder is SQL, everything else a parameter. */
export type Values = Record<string, unknown>

export interface Selection<Row> {
  table: HostTable
  /** The select list, which stands after RETURNING too. */
  columns: RawBuilder<unknown>
  /** What lists can be filtered by besides columns. */
  filters?: Record<string, (value: string) => RawBuilder<unknown>>
  /** Carries the row's type. */
  show(row: Row): object
}

export async function findRow<Row>(
  db: Kysely<Database>,
  { table, columns }: Selection<Row>,
  id: string,
): Promise<Row | undefined> {
  // No row has such an id, and Postgres would refuse the parameter.
  if (id.includes('\0')) return undefined
  const { rows } = await sql<Row>`
    select ${columns} from ${sql.table(table)} where ${sql.ref(`${table}.id`)} = ${id}`.execute(db)
  return rows[0]
}

/** Newest first; rows without created_at come last. One row more than `limit`, where there is one. */
export async function listRows<Row>(
  db: Kysely<Database>,
  { table, columns, filters: own = {} }: Selection<Row>,
  filters: Record<string, string>,
  { cursor, limit }: { cursor?: Cursor | undefined; limit: number },
): Promise<(Row & { cursor_time: string | null })[]> {
  const createdAt = sql.ref(`${table}.created_at`)
  const id = sql.ref(`${table}.id`)
  const conditions = Object.entries(filters).map(
    ([name, value]) => own[name]?.(value) ?? sql`${sql.ref(`${table}.${name}`)}::text = ${value}`,
  )
  if (cursor !== undefined) conditions.push(after(cursor, createdAt, id))
  const where = conditions.length === 0 ? sql`` : sql`where ${sql.join(conditions, sql` and `)}`
  // As JSON, a time has all its digits and does not depend on the session's settings.
  const { rows } = await sql<Row & { cursor_time: string | null }>`
    select ${columns}, to_json(${createdAt}::timestamptz) #>> '{}' as cursor_time
    from ${sql.table(table)} ${where}
    order by ${createdAt} desc nulls last, ${id} desc
    limit ${limit + 1}`.execute(db)
  return rows
}

function after(cursor: Cursor, createdAt: RawBuilder<unknown>, id: RawBuilder<unknown>): RawBuilder<unknown> {
  if (cursor.createdAt === null) return sql`${createdAt} is null and ${id} < ${cursor.id}`
  const time = sql`${cursor.createdAt}::timestamptz`
  return sql`(${createdAt} < ${time} or ${createdAt} is null or (${createdAt} = ${time} and ${id} < ${cursor.id}))`
}

/** @returns undefined where a trigger of the host kept the row from being stored */
export async function insertRow<Row>(
  trx: Transaction<Database>,
  { table, columns }: Selection<Row>,
  values: Values,
): Promise<Row | undefined> {
  const row: Values = {
    ...values,
    id: values['id'] ?? (await newId(trx, table)),
    // A host's columns may be NOT NULL without a default.
    created_at: sql`now()`,
    updated_at: sql`now()`,
  }
  const { rows } = await sql<Row>`
    insert into ${sql.table(table)} (${sql.join(Object.keys(row).map((name) => sql.ref(name)))})
    values (${sql.join(Object.values(row))})
    returning ${columns}`.execute(trx)
  return rows[0]
}

/** The id that the table itself makes, which a host may rely on, or a UUID where it makes none. */
async function newId(trx: Transaction<Database>, table: HostTable): Promise<unknown> {
  const { rows } = await sql<{ has_default: boolean }>`
    select atthasdef as has_default from pg_attribute
    where attrelid = to_regclass(${table}) and attname = 'id'`.execute(trx)
  return rows[0]?.has_default === true ? sql`default` : randomUUID()
}

/**
 * One UPDATE, so that concurrent patches of other columns are kept. The clock is read once the row is locked: a patch
 * that waited for another one must not set updated_at back.
 */
export async function updateRow<Row>(
  trx: Transaction<Database>,
  { table, columns }: Selection<Row>,
  id: string,
  values: Values,
): Promise<Row | undefined> {
  if (id.includes('\0')) return undefined
  const row: Values = { ...values, updated_at: sql`clock_timestamp()` }
  const assignments = Object.entries(row).map(([name, value]) => sql`${sql.ref(name)} = ${value}`)
  const { rows } = await sql<Row>`
    update ${sql.table(table)} set ${sql.join(assignments)}
    where ${sql.ref(`${table}.id`)} = ${id}
    returning ${columns}`.execute(trx)
  return rows[0]
}

/** Locks the row's key until the transaction ends, so that it is not deleted meanwhile. */
export async function lockKey(trx: Transaction<Database>, table: HostTable, id: string): Promise<boolean> {
  if (id.includes('\0')) return false
  const { rows } = await sql`
    select from ${sql.table(table)} where ${sql.ref(`${table}.id`)} = ${id} for key share`.execute(trx)
  return rows.length > 0
}
