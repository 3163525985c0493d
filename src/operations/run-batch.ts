import { type Kysely, sql, type Transaction } from 'kysely'
import pg from 'pg'
import type { Database } from '../database/tables.ts'

export interface Batch {
  operationId: string
  kind: 'replay' | 'discard'
  /** What the operation has come to with this batch. */
  state: 'running' | 'done' | 'failed'
  /** Of this batch: how many events came to what, such as `replayed` or `no_url`. */
  outcomes: Record<string, number>
  error: string | null
}

interface Operation {
  id: string
  kind: Batch['kind']
  reason: string | null
}

/**
 * Takes the next batch of an operation whose turn has come: the events, the counts, and the batch's own row in one
 * transaction, so that a dispatcher which dies leaves it as if it had not begun. Only one works at an operation at a time,
 * since it holds the operation's row.
 *
 * A batch that Postgres refuses for what it is, and would refuse again, ends its operation as failed.
 *
 * @returns undefined where nothing has its turn now
 * @throws where Postgres is away or overloaded: the batch is tried again
 */
export async function runBatch(db: Kysely<Database>): Promise<Batch | undefined> {
  let taken: Operation | undefined
  try {
    return await db
      .transaction()
      .setIsolationLevel('read committed')
      .execute(async (trx) => {
        taken = await takeTurn(trx)
        return taken && (await workOn(trx, taken))
      })
  } catch (error) {
    if (taken === undefined || !isRefusal(error)) throw error
    return fail(db, taken, error)
  }
}

async function takeTurn(trx: Transaction<Database>): Promise<Operation | undefined> {
  const { rows } = await sql<Operation>`
    select id, kind, reason from webhook_operations
    where state in ('queued', 'running') and next_batch_at <= now()
    order by next_batch_at
    limit 1
    for update skip locked`.execute(trx)
  return rows[0]
}

async function workOn(trx: Transaction<Database>, operation: Operation): Promise<Batch> {
  const { id, kind } = operation
  const batch = await sql<{ event_ids: string[]; last: boolean }>`
    delete from webhook_operation_batches b
    where b.operation_id = ${id}
      and b.n = (select min(f.n) from webhook_operation_batches f where f.operation_id = ${id})
    returning b.event_ids,
      not exists (select from webhook_operation_batches r where r.operation_id = ${id} and r.n > b.n) as last`.execute(
    trx,
  )
  const { event_ids: events, last } = batch.rows[0] ?? { event_ids: [], last: true }
  const { rows } = await outcomesOf(trx, operation, events)
  const outcomes = Object.fromEntries(rows.map(({ outcome, events }) => [outcome, events]))
  await record(trx, operation, { outcomes, events: events.length, last })
  return { operationId: id, kind, state: last ? 'done' : 'running', outcomes, error: null }
}

function outcomesOf(trx: Transaction<Database>, { id, kind, reason }: Operation, events: string[]) {
  const requested = sql`(select o.created_at from webhook_operations o where o.id = ${id})`
  const done =
    kind === 'replay'
      ? sql`webhook_replay_events(${events}::uuid[], ${requested})`
      : sql`webhook_discard_events(${events}::uuid[], ${reason}, ${requested})`
  return sql<{ outcome: string; events: number }>`
    select outcome, count(*)::integer as events from ${done} group by outcome`.execute(trx)
}

async function record(
  trx: Transaction<Database>,
  { id, kind }: Operation,
  { outcomes, events, last }: { outcomes: Record<string, number>; events: number; last: boolean },
): Promise<void> {
  const { [kind === 'replay' ? 'replayed' : 'discarded']: done = 0, ...skips } = outcomes
  await sql`
    update webhook_operations set
      state = ${last ? 'done' : 'running'},
      started_at = coalesce(started_at, now()),
      finished_at = case when ${last} then clock_timestamp() end,
      done = done + ${done},
      skipped = skipped + ${events - done},
      skipped_reasons = (
        select coalesce(jsonb_object_agg(reason, events), '{}') from (
          select reason, sum(events::integer) as events from (
            select * from jsonb_each_text(skipped_reasons)
            union all
            select * from jsonb_each_text(${JSON.stringify(skips)}::jsonb)
          ) each (reason, events)
          group by reason
        ) sums
      ),
      -- A dispatcher that was late makes up for a second at most.
      next_batch_at = greatest(next_batch_at, now() - interval '1 second') + ${events}::float8 / rate * interval '1 second'
    where id = ${id}`.execute(trx)
}

async function fail(db: Kysely<Database>, { id, kind }: Operation, cause: unknown): Promise<Batch> {
  const { code = '', message } = cause as pg.DatabaseError
  const error = `Postgres refused a batch (SQLSTATE ${code}): ${message}`.slice(0, 1_000)
  await sql`
    with failed as (
      update webhook_operations set state = 'failed', error = ${error}, finished_at = clock_timestamp()
      where id = ${id} and state in ('queued', 'running')
      returning id
    )
    delete from webhook_operation_batches b using failed f where b.operation_id = f.id`.execute(db)
  return { operationId: id, kind, state: 'failed', outcomes: {}, error }
}

/** Classes of SQLSTATE that say that the statement is at fault, and not the server, the load or another transaction. */
function isRefusal(error: unknown): boolean {
  return error instanceof pg.DatabaseError && /^(?:2[1-7]|3[89]|42|44|P0)/.test(error.code ?? '')
}
