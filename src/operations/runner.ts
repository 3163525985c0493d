import { type Kysely, sql } from 'kysely'
import type { Database } from '../database/tables.ts'
import { Loop } from '../dispatch/loop.ts'
import type { Log } from '../observe/log.ts'
import { runBatch } from './run-batch.ts'

const intervalMs = 250
/** A stop waits for the run under way. */
const longestRunMs = 1_000
const tidyEveryMs = 3_600_000
/** Operations that ended are on record for 90 days, and changes by operators for a year. */
const keepOperations = '90 days'
const keepAudit = '365 days'

/**
 * Carries out bulk replays and discards (see 0009_operations): every quarter of a second, the batches whose turn has come.
 * The pace is a time in the operation's row, so that it holds over all dispatchers; a dispatcher that dies in a batch loses
 * nothing but that attempt at it. Also forgets operations and audit that are past their time.
 */
export function createOperationRunner({
  db,
  log,
  maySend,
}: {
  db: Kysely<Database>
  log: Log
  maySend?: () => boolean
}): Loop {
  let tidyAt = 0
  return new Loop({
    name: 'the carrying out of bulk operations',
    intervalMs,
    log,
    when: maySend,
    async run() {
      const until = performance.now() + longestRunMs
      for (let batch; performance.now() < until && (batch = await runBatch(db)) !== undefined;) {
        const { operationId: operation_id, kind, state, error } = batch
        if (state === 'done') log.info({ operation_id, kind }, 'a bulk operation is done')
        if (state === 'failed') log.error({ operation_id, kind, error }, 'a bulk operation failed')
      }
      if (performance.now() < tidyAt) return
      tidyAt = performance.now() + tidyEveryMs
      await forgetOld(db)
    },
  })
}

/** Removes what has been on record for long enough. */
export async function forgetOld(db: Kysely<Database>): Promise<void> {
  await sql`delete from webhook_operations where finished_at < now() - ${keepOperations}::interval`.execute(
    db,
  )
  await sql`delete from webhook_audit where at < now() - ${keepAudit}::interval`.execute(db)
}
