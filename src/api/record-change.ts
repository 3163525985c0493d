import type { Context } from 'hono'
import { sql, type Transaction } from 'kysely'
import type { Database } from '../database/tables.ts'
import type { Env } from './context.ts'

export type AuditAction =
  | 'delivery.replay'
  | 'delivery.discard'
  | 'replays.start'
  | 'discards.start'
  | 'operation.cancel'
  | 'endpoint.patch'
  | 'endpoint.pause'
  | 'endpoint.resume'
  | 'endpoint.test'
  | 'installation.confirm'
  | 'secret.add'
  | 'secret.remove'
  | 'webhook_url.change'

/** Who makes this request, as the audit names them. */
export function actorOf(c: Context<Env>): string {
  return c.get('actor') ?? 'anonymous'
}

/**
 * Writes an operator's change to the audit, in the transaction that makes it: there is no change without its row, and no
 * row of a change that was rolled back.
 * @param target what was changed, as its path in the API has it: `endpoints/<id>`
 * @param detail no secrets: see withoutSecrets, and names of headers only
 */
export async function recordChange(
  trx: Transaction<Database>,
  actor: string,
  { action, target, detail = {} }: { action: AuditAction; target: string; detail?: object },
): Promise<void> {
  await sql`
    insert into webhook_audit (actor, action, target, detail)
    values (${actor}, ${action}, ${target}, ${JSON.stringify(detail)}::jsonb)`.execute(trx)
}
