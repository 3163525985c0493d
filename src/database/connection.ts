import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import type { Database } from './tables.ts'

const json = 114

export interface ConnectOptions {
  maxConnections?: number
  /** Milliseconds that a query waits for a free or a new connection before it fails; default 5,000. */
  connectionTimeoutMs?: number
  /** Milliseconds after which a query fails and its connection is replaced: a half-open socket never answers. */
  queryTimeoutMs?: number
  applicationName?: string
  /** Told of errors on idle connections (a restart of Postgres), which the pool replaces by itself. */
  onIdleError?: (error: Error) => void
}

/**
 * A pool whose `json` columns come back as text: a payload is sent as the bytes that are stored, and
 * is neither parsed nor printed on the way.
 */
export function createPool(url: string, options: ConnectOptions = {}): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: options.maxConnections ?? 10,
    connectionTimeoutMillis: options.connectionTimeoutMs ?? 5_000,
    application_name: options.applicationName ?? 'webhook-outbox',
    keepAlive: true,
    ...(options.queryTimeoutMs === undefined ? {} : { query_timeout: options.queryTimeoutMs }),
    types: {
      getTypeParser: (oid: number, format?: 'text' | 'binary') =>
        oid === json ? (value: string) => value : (pg.types.getTypeParser(oid, format) as never),
    },
  })
  // Without a listener, the loss of an idle connection would end the process.
  pool.on('error', options.onIdleError ?? (() => undefined))
  // And that of one that is checked out, between two statements of a transaction: the next statement says so.
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

export function kyselyOver(pool: pg.Pool): Kysely<Database> {
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
}

export function connect(url: string, options: ConnectOptions = {}): Kysely<Database> {
  return kyselyOver(createPool(url, options))
}
