import { type Kysely, sql } from 'kysely'
import { describe } from '../comments.ts'

/** Who changed what through the API. A row is written by the transaction that makes the change. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table webhook_audit (
      id bigint generated always as identity primary key,
      at timestamptz not null default clock_timestamp(),
      actor text not null,
      action text not null,
      target text not null,
      detail jsonb not null default '{}'
    )`.execute(db)
  await sql`create index webhook_audit_at_idx on webhook_audit (at, id)`.execute(db)
  await describe(
    db,
    'table',
    'webhook_audit',
    'Changes that operators made through the API; it holds no secrets: URLs without their query, names of headers only',
    {
      id: 'Order of insertion',
      at: 'When, by the clock of the database',
      actor: 'Name of the token; anonymous where there are no tokens',
      action: 'What was done, such as delivery.replay',
      target: 'To what, as its path in the API has it, such as endpoints/<id>',
      detail: 'What else there is to say',
    },
  )
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table webhook_audit`.execute(db)
}
