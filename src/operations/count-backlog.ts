import { type Kysely, sql, type Transaction } from 'kysely'
import type { Database } from '../database/tables.ts'
import { Loop } from '../dispatch/loop.ts'
import type { Log } from '../observe/log.ts'

const intervalMs = 5_000
/** A count is made again after twenty times what it took: it costs a twentieth of a processor at most. */
const rest = 20

/** Counts for webhook_backlog (see 0011_backlog), while so much is owed that looking does not count. */
export function createBacklogCounter({ db, log }: { db: Kysely<Database>; log: Log }): Loop {
  return new Loop({
    name: 'the counting of the backlog',
    intervalMs,
    log,
    async run() {
      await countBacklog(db)
    },
  })
}

export interface CountOptions {
  /** So many owed events are left to be counted by whoever looks. */
  exactUpTo?: number
}

/** @returns how many endpoints it counted; null where it is another's turn, it is too early, or there is little to count */
export async function countBacklog(
  db: Kysely<Database>,
  { exactUpTo = 50_000 }: CountOptions = {},
): Promise<number | null> {
  return db
    .transaction()
    .setIsolationLevel('read committed')
    .execute(async (trx) => {
      if (!(await takeTurn(trx))) return null
      const many = await sql`select from webhook_outbox offset ${exactUpTo} limit 1`.execute(trx)
      if (many.rows.length === 0) {
        await sql`delete from webhook_backlog_counts`.execute(trx)
        await sql`update webhook_backlog_counted set valid_until = '-infinity'
          where valid_until <> '-infinity'`.execute(trx)
        return null
      }
      const endpoints = await count(trx)
      // Valid for as long as two counts may fail or be late.
      await sql`
        update webhook_backlog_counted set counted_at = now(),
          next_count_at = clock_timestamp() + greatest(${intervalMs}::float8 * interval '1 ms' * 0.9, ${rest} * took),
          valid_until = clock_timestamp() + 3 * greatest(${intervalMs}::float8 * interval '1 ms', ${rest} * took)
            + interval '15 seconds'
        from (select clock_timestamp() - now() as took) run`.execute(trx)
      return endpoints
    })
}

async function takeTurn(trx: Transaction<Database>): Promise<boolean> {
  const { rows } = await sql`
    select from webhook_backlog_counted where next_count_at <= now() for update skip locked`.execute(trx)
  return rows.length > 0
}

/** By the claim's index alone, where its pages are known to be visible to all. */
async function count(trx: Transaction<Database>): Promise<number> {
  const { rows } = await sql<{ endpoints: number }>`
    with counts as materialized (
      select endpoint_id, (count(*) filter (where next_attempt_at <= now()))::integer as due,
        (count(*) filter (where next_attempt_at > now()))::integer as waiting,
        min(next_attempt_at) filter (where next_attempt_at <= now()) as oldest_due_at,
        min(next_attempt_at) filter (where next_attempt_at > now()) as next_attempt_at
      from webhook_outbox where state = 'pending' group by endpoint_id
    ),
    gone as (
      delete from webhook_backlog_counts b where not exists (select from counts c where c.endpoint_id = b.endpoint_id)
    ),
    written as (
      insert into webhook_backlog_counts as b (endpoint_id, due, waiting, oldest_due_at, next_attempt_at)
      select * from counts
      on conflict (endpoint_id) do update set due = excluded.due, waiting = excluded.waiting,
        oldest_due_at = excluded.oldest_due_at, next_attempt_at = excluded.next_attempt_at
      where (b.due, b.waiting, b.oldest_due_at, b.next_attempt_at)
        is distinct from (excluded.due, excluded.waiting, excluded.oldest_due_at, excluded.next_attempt_at)
    )
    select count(*)::integer as endpoints from counts`.execute(trx)
  return rows[0]!.endpoints
}
