import type { Kysely, Transaction } from 'kysely'
import type { Database } from '../database/tables.ts'
import { databaseProblem, isConflict } from './database-problem.ts'

/**
 * Runs a client's change in one transaction, once more where it lost against another one.
 * @param fields the properties of the request, for errors that Postgres can attribute to one
 */
export async function inTransaction<T>(
  db: Kysely<Database>,
  fields: readonly string[],
  run: (trx: Transaction<Database>) => Promise<T>,
): Promise<T> {
  const attempt = () => db.transaction().execute(run)
  try {
    return await attempt().catch((error: unknown) => {
      if (isConflict(error)) return attempt()
      throw error
    })
  } catch (error) {
    throw databaseProblem(error, fields) ?? error
  }
}
