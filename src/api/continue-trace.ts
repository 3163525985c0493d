import { sql, type Transaction } from 'kysely'
import type { Database } from '../database/tables.ts'
import { isTraceparent } from '../delivery/trace.ts'

/** What this transaction captures is sent on in the trace of the request; a traceparent of another form is dropped. */
export async function continueTrace(
  trx: Transaction<Database>,
  traceparent: string | undefined,
): Promise<void> {
  if (traceparent === undefined || !isTraceparent(traceparent)) return
  await sql`select set_config('webhook.traceparent', ${traceparent}, true)`.execute(trx)
}

/** Of a route that does so. */
export const traceHeader = {
  traceparent: {
    description: 'Trace of the request (W3C Trace Context): events that it makes are sent on with it',
  },
}
