import { randomUUID } from 'node:crypto'
import { type Kysely, sql, type Transaction } from 'kysely'
import { endpointIdOf } from '../../db/endpoint.ts'
import type { Database } from '../database/tables.ts'
import type { Sender } from '../delivery/send.ts'
import { judge } from '../delivery/verdict.ts'
import type { WebhookTest } from '../events.ts'
import { ensureEndpoint } from './endpoint-rows.ts'
import { noEndpoint } from './problem.ts'
import { recordChange } from './record-change.ts'
import { inTransaction } from './transaction.ts'
import { withoutSecrets } from './without-secrets.ts'

/**
 * Sends one webhook.test event to an endpoint, at once and from this process, and says what came of it. It has no row in the
 * outbox: it is not retried, it counts for no breaker, and it goes out also where the endpoint is paused, which is when an
 * operator wants to know.
 *
 * @returns what the API answers
 * @throws Problem 404 where there is no such endpoint
 */
export async function testEndpoint(
  { db, sender }: { db: Kysely<Database>; sender: Pick<Sender, 'send'> },
  actor: string,
  id: string,
): Promise<object> {
  const eventId = randomUUID()
  const target = await inTransaction(db, [], async (trx) => {
    if ((await ensureEndpoint(trx, id)) === undefined) throw noEndpoint()
    const found = await targetOf(trx, id)
    await recordChange(trx, actor, {
      action: 'endpoint.test',
      target: `endpoints/${id}`,
      detail: { event_id: eventId, url: withoutSecrets(found.url) },
    })
    return found
  })
  const exchange = await sender.send({
    url: target.url,
    eventId,
    attempt: 1,
    payload: JSON.stringify(testEvent(id, target.now)),
    ...(target.timeout_ms === null ? {} : { timeoutMs: target.timeout_ms }),
    ...(target.headers === null ? {} : { headers: target.headers }),
    ...(target.secrets === null ? {} : { secrets: target.secrets }),
  })
  const verdict = judge(exchange)
  const answered = exchange.kind === 'answered'
  return {
    event_id: eventId,
    url: withoutSecrets(target.url),
    delivered: verdict.kind === 'delivered',
    status: answered ? exchange.status : null,
    duration_ms: exchange.durationMs,
    response: answered ? exchange.response : null,
    error: verdict.kind === 'delivered' ? null : verdict.error,
    sent_at: exchange.startedAt.toISOString(),
  }
}

function testEvent(id: string, now: Date): WebhookTest {
  return {
    event_type: 'webhook.test',
    timestamp: now.toISOString(),
    entity_type: 'endpoint',
    entity_id: id,
    project_id: null,
    ticket_id: null,
    task_id: null,
    agent_id: null,
    data: { message: 'a test of this endpoint, sent by an operator' },
  }
}

interface Target {
  url: string
  timeout_ms: number | null
  headers: Record<string, string> | null
  secrets: string[] | null
  now: Date
}

/** History that is looked through for the endpoint's last event: it has no index by endpoint, which settling would pay for. */
const recent = 10_000

/**
 * With a URL that has its query, which may hold a token that the receiver needs: of the endpoint's newest event, else as it is
 * configured, else as the endpoint is known. It is signed as that event would be.
 */
async function targetOf(trx: Transaction<Database>, id: string): Promise<Target> {
  const configured = (table: string, project: string) => sql`
    (select array[webhook_url::text, ${sql.ref(project)}::text] from ${sql.table(table)}
     where webhook_url <> '' and ${sql.raw(endpointIdOf('webhook_url'))} = ${id}::uuid limit 1)`
  const { rows } = await sql<Target>`
    select known.url_and_project[1] as url, (extract(epoch from e.timeout) * 1000)::float8 as timeout_ms, e.headers,
      coalesce(e.secrets,
        (select p.secrets from webhook_project_secrets p where p.project_id = known.url_and_project[2])) as secrets,
      clock_timestamp() as now
    from webhook_endpoints e cross join lateral (
      select coalesce(
        (select array[url, project_id] from webhook_outbox where state = 'pending' and endpoint_id = e.id
         order by endpoint_id desc, next_attempt_at desc, id desc limit 1),
        (select array[h.url, h.project_id]
         from (select url, project_id, endpoint_id, created_at from webhook_history order by created_at desc limit ${recent}) h
         where h.endpoint_id = e.id order by h.created_at desc limit 1),
        ${configured('tickets', 'project_id')}, ${configured('projects', 'id')}, array[e.url]) as url_and_project
    ) known
    where e.id = ${id}::uuid`.execute(trx)
  return rows[0]!
}
