import { type Kysely, sql } from 'kysely'

/**
 * For what was settled in the last hour, which the dashboard draws. Rows are appended in the order of this time, so that a
 * block-range index of a few pages serves: settling pays next to nothing for it, where a btree would cost an entry an event.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create index webhook_history_settled_at_idx on webhook_history using brin (settled_at)
    with (pages_per_range = 32, autosummarize = on)`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop index webhook_history_settled_at_idx`.execute(db)
}
