import { type RawBuilder, sql } from 'kysely'

/**
 * The trigger's INSERT of the fields of `e`. That is a row of `eventFunction(new)`, where it is given, and the variables of a
 * PL/pgSQL block labelled e where it is not: a plain row, which costs less to start than a query.
 * Statement text for a PL/pgSQL body that runs without a pinned search_path: every name carries its schema.
 */
export function insertEvents(
  schema: string,
  entityType: 'task' | 'agent',
  eventFunction?: string,
): RawBuilder<unknown> {
  const taskId = entityType === 'task' ? 'e.entity_id' : 'e.task_id'
  return sql`insert into ${sql.id(schema, 'webhook_outbox')}
        (event_type, entity_type, entity_id, project_id, ticket_id, task_id, agent_id, url, payload, traceparent)
      select e.event_type, ${sql.lit(entityType)}, e.entity_id, e.project_id, e.ticket_id, ${sql.raw(taskId)}, e.agent_id,
        e.url, e.payload, ${sql.raw(writersTrace)}${
          eventFunction === undefined
            ? sql``
            : sql`
      from ${sql.id(schema, eventFunction)}(new) e`
        };`
}

/**
 * What the writer set as webhook.traceparent, null where that is nothing or of another form: it fails no transaction,
 * whatever it is. One look where nothing is set; no pattern counts, which would take ten times as long. Of a session that set
 * it once, Postgres says '' for ever.
 */
const setting = `pg_catalog.current_setting('webhook.traceparent', true)`
const writersTrace = `case when ${setting} operator(pg_catalog.~~) '00-${'_'.repeat(32)}-${'_'.repeat(16)}-__' collate pg_catalog."C"
          then case when pg_catalog.translate(${setting} collate pg_catalog."C", '0123456789abcdef', '') operator(pg_catalog.=) '---'
          then ${setting} end end`

/**
 * A dispatcher that sleeps holds this advisory lock exclusively, on a session of its own. A capture asks for
 * it in shared mode until its transaction ends. Where it gets none, somebody sleeps: NOTIFY. Where it gets it,
 * no dispatcher can fall asleep before this transaction is over, and the next look sees its rows. So nothing is
 * missed between the two, a busy dispatcher costs writers no NOTIFY (whose commits queue behind one
 * database-wide lock), and a dispatcher that dies takes its lock along.
 */
export function wakeDispatcher(schema: string): RawBuilder<unknown> {
  const key = sql.lit(`${quoteIdent(schema)}.webhook_outbox`)
  return sql`if not pg_catalog.pg_try_advisory_xact_lock_shared(
          ${sql.lit(sleepLockClass)}, ${key}::pg_catalog.regclass::pg_catalog.oid::pg_catalog.int4) then
          perform pg_catalog.pg_notify(${sql.lit(channel)}, '');
        end if;`
}

/** First key of the advisory lock ("whoo" in ASCII); the second is the OID of webhook_outbox. */
export const sleepLockClass = 0x77686f6f

/** The channel of the constant, empty notifications. */
export const channel = 'webhook_outbox'

function quoteIdent(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
