import { type Kysely, sql } from 'kysely'
import { sleepLockClass } from '../../db/capture.ts'
import type { Database } from '../database/tables.ts'

export interface Dispatchers {
  /** Sessions that listen, one a dispatcher, as far as Postgres knows them by their name. */
  listening: number
  /** One of them sleeps: it has nothing to do, and writers notify it. */
  asleep: boolean
}

const listening = sql<number>`(select count(*)::integer from pg_stat_activity
  where datname = current_database() and application_name = 'webhook-outbox listen')`
const asleep = sql<boolean>`exists (
  select from pg_locks
  where locktype = 'advisory' and mode = 'ExclusiveLock' and granted
    and database = (select oid from pg_database where datname = current_database())
    and classid = ${sleepLockClass} and objid = to_regclass('webhook_outbox') and objsubid = 2
)`

/** SQL of whether any dispatcher is connected; see findDispatchers. */
export const isDispatched = sql<boolean>`(${listening} > 0 or ${asleep})`

/**
 * The dispatchers that are connected to this database, whoever runs them. A pooler may hide the names of sessions; the lock
 * of one that sleeps is seen in any case.
 */
export async function findDispatchers(db: Kysely<Database>): Promise<Dispatchers> {
  const { rows } = await sql<Dispatchers>`select ${listening} as listening, ${asleep} as asleep`.execute(db)
  return rows[0]!
}
