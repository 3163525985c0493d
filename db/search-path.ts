import { type Kysely, type RawBuilder, sql } from 'kysely'

/** The schema that this service's tables are created in. */
export async function currentSchema(db: Kysely<unknown>): Promise<string> {
  const { rows } = await sql<{ schema: string | null }>`select current_schema() as schema`.execute(db)
  const schema = rows[0]?.schema
  if (schema == null) {
    throw new Error('the search_path names no schema that exists: create it, or correct the search_path')
  }
  return schema
}

/** A search_path for a function's SET clause: what the caller set must not change what its names mean. */
export async function pinnedSearchPath(db: Kysely<unknown>): Promise<RawBuilder<unknown>> {
  return sql`${sql.id(await currentSchema(db))}, pg_temp`
}
