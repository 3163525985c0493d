import type { Kysely } from 'kysely'
import { sql } from 'kysely'
import type { Database } from '../database/tables.ts'
import type { Log } from '../observe/log.ts'
import { eventColumns } from '../../db/event-columns.ts'
import { Loop } from './loop.ts'

/**
 * Brings back what died of 5xx, timeouts or network errors, when its endpoint may have come back (contract, section 3).
 *
 * The oldest such event of each endpoint is tried once more, after 30 s at first and then at doubling waits of up to 4 and a
 * half minutes, so that an endpoint has everything within 5 minutes of its return. The first 2xx that the endpoint gives, to any event, brings the rest, in the order of their age: settling
 * sets `recover_rest` for that. How fast they go out is limited by the endpoint's slots, which grow with success.
 * An endpoint that fails some events and takes others gives 2xx all the time: then the rest, too, is brought at those
 * doubling waits only. Events older than `windowMs` stay dead.
 */
export interface RecovererOptions {
  db: Kysely<Database>
  log: Log
  windowMs: number
  maySend?: () => boolean
}

const intervalMs = 500
/** Rows brought back in one transaction, which holds the row of their endpoint. */
const batch = 200

export function createRecoverer({ db, log, windowMs, maySend }: RecovererOptions): Loop {
  return new Loop({
    name: 'the recovery of dead events',
    intervalMs,
    log,
    when: maySend,
    async run() {
      for (const [endpoint_id, events] of await recoverDead(db, windowMs)) {
        log.info({ endpoint_id, events }, 'dead events are tried again')
      }
    },
  })
}

/** @returns how many events were brought back, by endpoint */
export async function recoverDead(db: Kysely<Database>, windowMs: number): Promise<Map<string, number>> {
  const recovered = new Map<string, number>()
  // What dies after this is for a later run: each is brought back once.
  const { rows } = await sql<{ now: string }>`select clock_timestamp()::text as now`.execute(db)
  const before = rows[0]!.now
  for (;;) {
    const done = await db.transaction().execute((trx) => recoverNext(trx, windowMs, before))
    if (done === undefined) return recovered
    if (done.events > 0) recovered.set(done.id, (recovered.get(done.id) ?? 0) + done.events)
  }
}

/**
 * One endpoint, or a batch of it: claims and settlements of it wait for this transaction.
 * @returns undefined where no endpoint is due
 */
async function recoverNext(
  trx: Kysely<Database>,
  windowMs: number,
  before: string,
): Promise<{ id: string; events: number } | undefined> {
  const due = await sql<{ id: string; rest: boolean }>`
    select id, recover_rest as rest from webhook_endpoints
    where owes_dead and recover_at <= ${before}::timestamptz and paused_at is null
    order by recover_at
    limit 1
    for update skip locked`.execute(trx)
  const endpoint = due.rows[0]
  if (endpoint === undefined) return undefined
  const { id, rest } = endpoint
  const wanted = rest ? batch : 1
  const events = await bringBack(trx, id, wanted, windowMs, before)
  // More than it takes at once now: at a growing pace, as after an open breaker.
  await sql`
    update webhook_endpoints set slots = 1, ramp_at = now() + interval '500 ms'
    where id = ${id} and slots > 1 and slots < ${events}`.execute(trx)
  if (rest && events === wanted) return { id, events }
  await sql`
    update webhook_endpoints set
      owes_dead = exists (
        select from webhook_history
        where outcome in ('dead', 'discarded') and recoverable and endpoint_id = ${id}
          and created_at > now() - ${windowMs}::float8 * interval '1 ms'),
      recover_rest = false,
      recovered_at = case when recover_rest then now() else recovered_at end,
      recover_wait = next.wait,
      recover_at = now() + next.wait
    from (
      select case when e.recover_rest and coalesce(e.recovered_at < now() - interval '10 minutes', true)
        then interval '30 seconds' else least(e.recover_wait * 2, interval '270 seconds') end as wait
      from webhook_endpoints e where e.id = ${id}
    ) next
    where id = ${id}`.execute(trx)
  return { id, events }
}

/** Moves the oldest recoverable events of an endpoint back to the outbox, each for one attempt. */
async function bringBack(
  trx: Kysely<Database>,
  id: string,
  limit: number,
  windowMs: number,
  before: string,
): Promise<number> {
  const { rows } = await sql<{ events: number }>`
    with picked as materialized (
      select event_id from webhook_history
      where outcome in ('dead', 'discarded') and recoverable and endpoint_id = ${id}
        and created_at > now() - ${windowMs}::float8 * interval '1 ms' and settled_at <= ${before}::timestamptz
      order by created_at
      limit ${limit}
      for update skip locked
    ),
    taken as (
      delete from webhook_history h using picked p
      where h.outcome in ('dead', 'discarded') and h.recoverable and h.event_id = p.event_id
      returning h.*
    ),
    owed as (
      insert into webhook_outbox (${sql.raw(eventColumns)}, attempts, attempts_before, once, next_attempt_at, last_status, last_error, created_at)
      select ${sql.raw(eventColumns)}, attempts, attempts, true, created_at, last_status, last_error, created_at
      from taken order by created_at
      returning 1
    )
    select count(*)::integer as events from owed`.execute(trx)
  return rows[0]!.events
}
