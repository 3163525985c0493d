import { type Kysely, sql } from 'kysely'
import type { Database } from '../database/tables.ts'

/** Whose database this is, and who runs on it (contract, section 6: INSTALLATION). */
export interface Installation {
  /** The name that the database holds; null where none is stored. */
  stored: string | null
  storedAt: Date | null
  /** The INSTALLATION of this process; null where it has none. */
  running: string | null
}

export async function readInstallation(
  db: Kysely<Database>,
  running: string | undefined,
): Promise<Installation> {
  const { rows } = await sql<{ name: string; stored_at: Date }>`
    select name, stored_at from webhook_installation`.execute(db)
  return { stored: rows[0]?.name ?? null, storedAt: rows[0]?.stored_at ?? null, running: running ?? null }
}

/** The first one to come names the database. */
export async function storeInstallation(db: Kysely<Database>, name: string): Promise<void> {
  await sql`insert into webhook_installation (name) values (${name}) on conflict do nothing`.execute(db)
}

/** Where no name is stored, nobody has said which installation is the right one. */
export function maySendFrom({ stored, running }: Installation): boolean {
  return stored === null || stored === running
}

/** What is the matter, where it may not send. */
export function describeMismatch({ stored, running }: Installation): string {
  const here =
    running === null ? 'this service runs without INSTALLATION' : `this service runs as ${quoted(running)}`
  return `this database belongs to the installation ${quoted(stored ?? '')}, and ${here}: nothing is sent until an operator confirms`
}

/** What to do about it. */
export function howToConfirm({ stored, running }: Installation, program = 'npx webhook-outbox'): string {
  const argument = running === null ? '--none' : shellWord(running)
  const literal = running === null ? 'null' : `'${running.replaceAll("'", "''")}'`
  return (
    `if this is no copy that must stay silent, ${program} confirm-installation ${argument}, ` +
    `or select webhook_confirm_installation(${literal}); if it is the same installation, set INSTALLATION=${shellWord(stored ?? '')}`
  )
}

function quoted(name: string): string {
  return `"${name}"`
}

function shellWord(text: string): string {
  return /^[\w.:@/-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
