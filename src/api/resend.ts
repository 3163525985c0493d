import { type Kysely, sql } from 'kysely'
import pg from 'pg'
import type { Database } from '../database/tables.ts'
import { notFound, Problem } from './problem.ts'
import { recordChange } from './record-change.ts'
import { isUuid } from './schemas/delivery.ts'
import { inTransaction } from './transaction.ts'

/**
 * Delivers a settled event again (contract, section 5): see webhook_replay.
 * @returns the endpoint that it goes to
 * @throws Problem 404 where it is not kept, 409 while it is owed and where no URL is configured
 */
export async function replayOne(db: Kysely<Database>, actor: string, eventId: string): Promise<string> {
  if (!isUuid(eventId)) throw notFound('delivery')
  return inTransaction(db, [], async (trx) => {
    const { rows } = await sql<{ endpoint_id: string }>`
      select webhook_replay(${eventId}::uuid) as endpoint_id`
      .execute(trx)
      .catch(refusedByFunction)
    const endpointId = rows[0]!.endpoint_id
    await recordChange(trx, actor, {
      action: 'delivery.replay',
      target: `deliveries/${eventId.toLowerCase()}`,
      detail: { endpoint_id: endpointId },
    })
    return endpointId
  })
}

/**
 * Gives up an event that is owed: see webhook_discard.
 * @throws Problem 404 where it is not kept, 409 where it is settled or in flight
 */
export async function discardOne(
  db: Kysely<Database>,
  actor: string,
  eventId: string,
  reason: string | undefined,
): Promise<void> {
  if (!isUuid(eventId)) throw notFound('delivery')
  await inTransaction(db, [], async (trx) => {
    await sql`select webhook_discard(${eventId}::uuid, ${reason ?? null})`
      .execute(trx)
      .catch(refusedByFunction)
    await recordChange(trx, actor, {
      action: 'delivery.discard',
      target: `deliveries/${eventId.toLowerCase()}`,
      detail: reason === undefined ? {} : { reason },
    })
  })
}

/** The functions of 0009_operations raise SQLSTATEs that name the status; their messages are for operators. */
function refusedByFunction(error: unknown): never {
  const code = error instanceof pg.DatabaseError ? error.code : undefined
  if (code === 'WH404') throw notFound('delivery')
  if (code === 'WH409') throw new Problem(409, (error as Error).message)
  throw error
}
