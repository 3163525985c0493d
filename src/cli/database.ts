import { existsSync } from 'node:fs'
import type { Kysely } from 'kysely'
import { type Config, readConfig } from '../config.ts'
import { connect } from '../database/connection.ts'
import { embeddedDirectory, startEmbedded } from '../database/embedded.ts'
import type { Database } from '../database/tables.ts'
import { UsageError } from './command.ts'

export interface OpenDatabase {
  db: Kysely<Database>
  config: Config
  /** Which one it is, without its password. */
  name: string
  close: () => Promise<void>
}

/**
 * The database of the service, by the same environment: DATABASE_URL, or the embedded one where `npm start` has made it. A
 * server that runs already is joined; one that is started for this is stopped by `close`.
 * @throws ConfigError, and UsageError where there is no database yet
 */
export async function openDatabase(options: { create?: boolean } = {}): Promise<OpenDatabase> {
  const config = readConfig(process.env)
  if (config.databaseUrl !== undefined) {
    const db = connect(config.databaseUrl, { maxConnections: 2, queryTimeoutMs: 60_000 })
    return { db, config, name: withoutPassword(config.databaseUrl), close: () => db.destroy() }
  }
  if (options.create !== true && !existsSync(embeddedDirectory)) {
    throw new UsageError(
      'DATABASE_URL is not set, and there is no embedded database yet: set it, or run npm start',
    )
  }
  const cluster = await startEmbedded({ directory: embeddedDirectory })
  const db = connect(cluster.url, { maxConnections: 2, queryTimeoutMs: 60_000 })
  const close = async () => {
    await db.destroy()
    await cluster.stop()
  }
  const name = `${withoutPassword(cluster.url)} (the embedded one: DATABASE_URL is not set)`
  return { db, config, name, close }
}

/** Of a Postgres URL; its parameters may hold a password, too. */
export function withoutPassword(url: string): string {
  const { protocol, username, password, host, pathname } = new URL(url)
  const user = username === '' ? '' : `${username}${password === '' ? '' : ':***'}@`
  return `${protocol}//${user}${host}${pathname}`
}

/** Why the database did not answer, in words; Node's own error of several addresses has none. */
export function databaseError(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string }
  if (error instanceof AggregateError) return databaseError(error.errors[0])
  const said = message === undefined || message === '' ? String(code) : message
  return /^E[A-Z]+$/.test(code ?? '') ? `Postgres cannot be reached (${code}): check DATABASE_URL` : said
}
