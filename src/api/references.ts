import type { Transaction } from 'kysely'
import type { Database } from '../database/tables.ts'
import { type HostTable, lockKey, type Values } from './host-rows.ts'
import { type FieldError, pointer } from './problem.ts'

/** Columns that hold the id of something else. */
export type References = Record<string, { table: HostTable; noun: string }>

/**
 * What is referred to and does not exist. The host's tables may have no foreign keys, and where they have, their
 * errors name a constraint only. What exists stays until the transaction ends.
 */
export async function missingReferences(
  trx: Transaction<Database>,
  references: References = {},
  values: Values,
): Promise<FieldError[]> {
  const missing: FieldError[] = []
  for (const [column, { table, noun }] of Object.entries(references)) {
    const id = values[column]
    if (typeof id !== 'string' || (await lockKey(trx, table, id))) continue
    missing.push({
      pointer: pointer([column]),
      detail: `must be the id of an existing ${noun}: there is none`,
    })
  }
  return missing
}
