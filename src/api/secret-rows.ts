import { type Kysely, type RawBuilder, sql, type Transaction } from 'kysely'
import type { Database } from '../database/tables.ts'
import { ensureEndpoint, findEndpoint } from './endpoint-rows.ts'
import { isUuid } from './schemas/delivery.ts'
import { whyUnstorable } from '../delivery/storable-text.ts'

/** Whose secrets: an endpoint's own, or those of a project. */
export type SecretOwner = 'endpoints' | 'projects'

/** What differs between the two. All take an id that `canBe` one. */
interface Statements {
  canBe: (id: string) => boolean
  exists: (db: Kysely<Database>, id: string) => Promise<boolean>
  /** Also holds the turn of this transaction, until it ends. */
  lock: (trx: Transaction<Database>, id: string) => Promise<boolean>
  read: (id: string) => RawBuilder<{ secrets: string[] | null }>
  write: (id: string, secrets: string[]) => RawBuilder<unknown>
  clear: (id: string) => RawBuilder<unknown>
}

const statements: Record<SecretOwner, Statements> = {
  endpoints: {
    canBe: isUuid,
    exists: async (db, id) => (await findEndpoint(db, id)) !== undefined,
    // It has its row from now on, which is what is locked.
    lock: async (trx, id) => (await ensureEndpoint(trx, id)) !== undefined,
    read: (id) => sql`select secrets from webhook_endpoints where id = ${id}::uuid`,
    write: (id, secrets) => sql`
      update webhook_endpoints set secrets = ${secrets}::text[] where id = ${id}::uuid`,
    clear: (id) => sql`update webhook_endpoints set secrets = null where id = ${id}::uuid`,
  },
  projects: {
    canBe: (id) => whyUnstorable(id) === undefined,
    exists: projectExists,
    // There may be no row yet: two that add the first secret at once take turns by this lock.
    lock: async (trx, id) => {
      await sql`
        select pg_advisory_xact_lock('webhook_project_secrets'::regclass::oid::integer, hashtext(${id}))`.execute(
        trx,
      )
      return projectExists(trx, id)
    },
    read: (id) => sql`select secrets from webhook_project_secrets where project_id = ${id}`,
    write: (id, secrets) => sql`
      insert into webhook_project_secrets (project_id, secrets) values (${id}, ${secrets}::text[])
      on conflict (project_id) do update set secrets = excluded.secrets`,
    clear: (id) => sql`delete from webhook_project_secrets where project_id = ${id}`,
  },
}

async function projectExists(db: Kysely<Database>, id: string): Promise<boolean> {
  const { rows } = await sql`select from projects where id = ${id}`.execute(db)
  return rows.length > 0
}

/**
 * The secrets of an owner, the oldest first; of a project that is gone, too, as long as it has some.
 * @returns undefined where there is no such owner
 */
export async function readSecrets(
  db: Kysely<Database>,
  owner: SecretOwner,
  id: string,
  known = statements[owner].exists,
): Promise<string[] | undefined> {
  const { canBe, read } = statements[owner]
  if (!canBe(id)) return undefined
  const exists = await known(db, id)
  const { rows } = await read(id).execute(db)
  const secrets = rows[0]?.secrets ?? []
  return exists || secrets.length > 0 ? secrets : undefined
}

/** The same, for this transaction to change. */
export function lockSecrets(
  trx: Transaction<Database>,
  owner: SecretOwner,
  id: string,
): Promise<string[] | undefined> {
  return readSecrets(trx, owner, id, () => statements[owner].lock(trx, id))
}

export async function writeSecrets(
  trx: Transaction<Database>,
  owner: SecretOwner,
  id: string,
  secrets: string[],
): Promise<void> {
  const { write, clear } = statements[owner]
  await (secrets.length === 0 ? clear(id) : write(id, secrets)).execute(trx)
}
