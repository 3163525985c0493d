import { type Kysely, sql } from 'kysely'
import type { Database } from '../database/tables.ts'
import type { Log } from '../observe/log.ts'
import { Loop } from './loop.ts'

const intervalMs = 10_000

/**
 * Sets the counts of what is in flight right. Claims and settlements keep them exact; it is an operator's SQL that takes
 * or changes rows which a dispatcher holds, and would else leave an endpoint with fewer slots for ever.
 */
export function createReconciler({ db, log }: { db: Kysely<Database>; log: Log }): Loop {
  return new Loop({
    name: 'the counting of what is in flight',
    intervalMs,
    log,
    async run() {
      const endpoints = await reconcileInFlight(db)
      if (endpoints > 0)
        log.warn({ endpoints }, 'rows in flight were changed by SQL: their endpoints are counted anew')
    },
  })
}

/** @returns how many endpoints were counted wrong */
export async function reconcileInFlight(db: Kysely<Database>): Promise<number> {
  const wrong = await sql<{ id: string }>`
    select e.id from webhook_endpoints e join webhook_claims c on c.endpoint_id = e.id
    left join (${inFlight}) f on f.endpoint_id = e.id
    where c.claimed - e.settled <> coalesce(f.rows, 0)`.execute(db)
  if (wrong.rows.length === 0) return 0
  const ids = wrong.rows.map(({ id }) => id)
  await db.transaction().execute(async (trx) => {
    // In the order of the claim. Counted once they are locked: until this commits nobody claims or settles for them.
    await sql`select from webhook_claims where endpoint_id = any(${ids}) order by endpoint_id for update`.execute(
      trx,
    )
    await sql`select from webhook_endpoints where id = any(${ids}) order by id for update`.execute(trx)
    await sql`
      update webhook_claims c
      set claimed = e.settled + (select coalesce(sum(f.rows), 0) from (${inFlight}) f where f.endpoint_id = e.id)
      from webhook_endpoints e
      where e.id = c.endpoint_id and e.id = any(${ids})`.execute(trx)
  })
  return ids.length
}

// As the claim counts them; a state that only SQL can give was not counted.
const inFlight = sql`
  select endpoint_id, count(*)::integer as rows from webhook_outbox
  where state = 'delivering' and attempts > 0 and lease_until is not null
  group by endpoint_id`
