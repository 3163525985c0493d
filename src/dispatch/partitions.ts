import { type Kysely, sql } from 'kysely'
import type { Database } from '../database/tables.ts'
import type { Log } from '../observe/log.ts'
import { Loop } from './loop.ts'

/** Partitions are made this far ahead; under `warnBelowDays` of it /readyz warns. */
export const daysAhead = 14
export const warnBelowDays = 3

const intervalMs = 10 * 60_000

/** Keeps days made ahead of time, and drops those whose retention is over. Each DDL waits 100 ms for its lock at most. */
export function createPartitionKeeper(options: {
  db: Kysely<Database>
  log: Log
  /** Milliseconds that delivered events and their attempts are kept. */
  retentionMs: number
  /** Milliseconds that dead and discarded events and failed attempts are kept. */
  deadRetentionMs: number
}): Loop {
  const { db, log, retentionMs, deadRetentionMs } = options
  return new Loop({
    name: 'the upkeep of partitions',
    intervalMs,
    log,
    async run() {
      const made = await sql<{
        made: number
      }>`select webhook_create_partitions(${daysAhead}) as made`.execute(db)
      if (made.rows[0]!.made > 0) log.info({ partitions: made.rows[0]!.made }, 'made partitions ahead')
      await forgetIdleEndpoints(db, deadRetentionMs)
      for (
        let dropped: string | null;
        (dropped = await dropExpired(db, retentionMs, deadRetentionMs)) !== null;
      ) {
        log.info({ partition: dropped }, 'dropped a partition whose retention is over')
      }
    },
  })
}

/** Endpoints to which nothing was sent for the whole retention, and nothing is owed; what an operator set up stays. */
export async function forgetIdleEndpoints(db: Kysely<Database>, retentionMs: number): Promise<void> {
  await sql`
    with idle as materialized (
      select e.id from webhook_endpoints e join webhook_claims c on c.endpoint_id = e.id
      where e.used_at < now() - ${retentionMs}::float8 * interval '1 ms' and e.paused_at is null and c.claimed <= e.settled
        and num_nonnulls(e.max_in_flight, e.retry_schedule, e.timeout, e.max_owed_age, e.headers, e.secrets) = 0
        and not exists (select from webhook_outbox o where o.state = 'pending' and o.endpoint_id = e.id)
      -- One that is being claimed now is not idle.
      for update of e, c skip locked
    ),
    forgotten as (delete from webhook_claims c using idle where c.endpoint_id = idle.id)
    delete from webhook_endpoints e using idle where e.id = idle.id`.execute(db)
}

/** One a transaction: its lock on the parent is held for a moment only. */
async function dropExpired(
  db: Kysely<Database>,
  retentionMs: number,
  deadMs: number,
): Promise<string | null> {
  const { rows } = await sql<{ dropped: string | null }>`
    select webhook_drop_expired_partition(
      ${retentionMs}::float8 * interval '1 ms', ${deadMs}::float8 * interval '1 ms') as dropped`.execute(db)
  return rows[0]!.dropped
}

/** Whole days ahead for which every parent has a partition; below zero where today has none. */
export async function partitionDaysAhead(db: Kysely<Database>): Promise<number> {
  const { rows } = await sql<{ days: number | null }>`
    select case when isfinite(min(last)) then min(last) - (now() at time zone 'UTC')::date else -1 end as days
    from (
      select coalesce(max(day), date '-infinity') as last from (values
        ('webhook_history_delivered'), ('webhook_history_dead'), ('webhook_attempts_ok'), ('webhook_attempts_failed')
      ) kept (parent) left join webhook_partitions using (parent)
      group by parent
    ) parents`.execute(db)
  return rows[0]?.days ?? -1
}
