import { type Kysely, sql } from 'kysely'
import { describe } from '../comments.ts'

/**
 * Secrets that deliveries are signed with (Standard Webhooks), of endpoints and of projects; there are none unless an operator
 * gives some. Two at most: while one is replaced both sign. The claim hands them on (see db/claim.ts); those of a project have
 * a table of their own, as projects belong to the host.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table webhook_endpoints add column secrets text[]
      constraint webhook_endpoints_secrets_check check (${areSecrets})`.execute(db)
  await sql`
    comment on column webhook_endpoints.secrets is
      'Its own signing secrets, one or two, as whsec_<base64 of 24 to 64 bytes>; each signs. They win over those of a project'`.execute(
    db,
  )
  await sql`
    create table webhook_project_secrets (
      project_id text primary key,
      secrets text[] not null constraint webhook_project_secrets_check check (${areSecrets})
    )`.execute(db)
  await describe(
    db,
    'table',
    'webhook_project_secrets',
    'Signing secrets of projects, for events to endpoints that have none of their own',
    {
      project_id: 'The project',
      secrets: 'One or two, as whsec_<base64 of 24 to 64 bytes>; each signs',
    },
  )
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table webhook_project_secrets`.execute(db)
  await sql`alter table webhook_endpoints drop column secrets`.execute(db)
}

// By its own elements, as a CHECK can hold no subquery. Base64 of 24 to 64 bytes: 8 to 21 groups of four, and what is left.
const form = sql.lit(
  '^whsec_(?:[A-Za-z0-9+/]{4}){8,20}(?:[A-Za-z0-9+/]{4}(?:[A-Za-z0-9+/]{2}==)?|[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$',
)
const areSecrets = sql`
  secrets is null or array_ndims(secrets) = 1 and array_lower(secrets, 1) = 1 and cardinality(secrets) <= 2
  and (secrets[1] ~ ${form}) is true and (cardinality(secrets) = 1 or (secrets[2] ~ ${form}) is true)`
