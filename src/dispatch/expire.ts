import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { Database } from '../database/tables.ts'
import type { Log } from '../observe/log.ts'
import { eventColumns } from '../../db/event-columns.ts'
import type { DispatchMetrics } from '../observe/metrics/dispatch-metrics.ts'
import { Loop } from './loop.ts'

const longestIntervalMs = 10_000
const shortestIntervalMs = 1_000
/** Rows given up in one statement: each ends well within the time that a query may take. */
const batch = 2_000

/** Gives up what is owed for longer than `maxAgeMs`, or than its endpoint's own limit, with the reason `expired`. */
export function createExpirer({
  db,
  log,
  maxAgeMs,
  maySend,
  metrics,
}: {
  db: Kysely<Database>
  log: Log
  maxAgeMs: number
  maySend?: () => boolean
  metrics?: DispatchMetrics | undefined
}): Loop {
  return new Loop({
    name: 'the giving up of what is owed too long',
    intervalMs: Math.min(Math.max(maxAgeMs / 10, shortestIntervalMs), longestIntervalMs),
    log,
    when: maySend,
    async run() {
      const expired = await discardExpired(db, maxAgeMs)
      if (expired === 0) return
      metrics?.owedTooLong(expired)
      log.warn({ events: expired }, 'events were owed too long, and are discarded')
    },
  })
}

/**
 * A look costs the same whatever waits: ids rise with the time, so that what is owed longest is at the beginning of the
 * primary key. At an endpoint with a limit of its own, rows that no attempt has put off yet stand in the order of their age.
 *
 * @returns how many events it discarded; what is in flight is left to its attempt
 */
export async function discardExpired(db: Kysely<Database>, maxAgeMs: number): Promise<number> {
  let expired = 0
  for (let [after, old] = ['0', batch]; old === batch;) {
    const first = sql`
      select id, endpoint_id, ${owedSince} < now() - ${maxAgeMs}::float8 * interval '1 ms' as old
      from webhook_outbox where id > ${after}::bigint order by id limit ${batch}`
    const done = await discard(
      db,
      first,
      sql`old and not exists (
        select from webhook_endpoints e where e.id = candidate.endpoint_id and e.max_owed_age is not null)`,
    )
    expired += done.discarded
    old = done.old
    after = done.last
  }
  const byTheirOwn = sql`
    select o.id, o.since < now() - e.max_owed_age as old
    from webhook_endpoints e cross join lateral (
      select id, ${owedSince} as since from webhook_outbox
      where state = 'pending' and endpoint_id = e.id and next_attempt_at < now() - e.max_owed_age
      order by endpoint_id, next_attempt_at, id limit ${batch}
    ) o
    where e.max_owed_age is not null`
  for (let more = true; more;) {
    const { discarded } = await discard(db, byTheirOwn, sql`old`)
    expired += discarded
    more = discarded > 0
  }
  return expired
}

const owedSince = sql`coalesce(replayed_at, created_at)`

/** @returns how many candidates there were that are old, the last one's id, and how many were discarded */
async function discard(
  db: Kysely<Database>,
  candidates: RawBuilder<unknown>,
  condition: RawBuilder<unknown>,
): Promise<{ old: number; last: string; discarded: number }> {
  const { rows } = await sql<{ old: number; last: string; discarded: number }>`
    with candidate as materialized (${candidates}),
    expired as materialized (
      select id from webhook_outbox
      where state = 'pending' and id in (select id from candidate where ${condition})
      for update skip locked
    ),
    discarded as (
      delete from webhook_outbox o using expired where o.id = expired.id
      returning o.*
    ),
    history as (
      insert into webhook_history (${sql.raw(eventColumns)}, outcome, attempts, last_status, last_error, created_at)
      select ${sql.raw(eventColumns)}, 'discarded', attempts, last_status, 'expired', created_at
      from discarded
      returning 1
    )
    select (select count(*)::integer from candidate where old) as old, (select max(id) from candidate) as last,
      (select count(*)::integer from history) as discarded`.execute(db)
  return rows[0]!
}
