import { realpath } from 'node:fs/promises'
import pg from 'pg'

const LOCK = 8_714_203_566
const DUPLICATE_DATABASE = ['42P04', '23505']
const INVALID_PASSWORD = '28P01'

/** Our share in a running server, which ends with our connection: a killed process has none. */
export interface Membership {
  /** Gives up the share; true if nobody else has one. Newcomers then wait until leave(), or the server's end. */
  isLast(): Promise<boolean>
  leave(): Promise<void>
}

export function serverUrl(port: number, password: string, database: string): string {
  return `postgres://postgres:${password}@127.0.0.1:${port}/${database}`
}

/**
 * Connects to a server, makes sure that it serves this data directory, takes a share in it and creates the database.
 * @returns undefined if it does not answer (yet, or any more)
 * @throws if it refuses the password
 */
export async function joinCluster(
  data: string,
  port: number,
  password: string,
  database: string,
): Promise<Membership | undefined> {
  if (port === 0) return undefined
  const client = new pg.Client({
    connectionString: serverUrl(port, password, 'postgres'),
    application_name: 'webhook-outbox embedded',
    connectionTimeoutMillis: 5_000,
  })
  // A server that goes away is noticed by those who use it, not here.
  client.on('error', () => undefined)
  try {
    await client.connect()
    await requireDirectory(client, data)
    await client.query('select pg_advisory_lock_shared($1)', [LOCK])
    await createDatabase(client, database)
  } catch (error) {
    await client.end().catch(() => undefined)
    if (sqlState(error) === INVALID_PASSWORD) throw error
    return undefined
  }
  return membership(client)
}

function membership(client: pg.Client): Membership {
  return {
    async isLast() {
      try {
        await client.query('select pg_advisory_unlock_shared($1)', [LOCK])
        const { rows } = await client.query<{ alone: boolean }>('select pg_try_advisory_lock($1) as alone', [
          LOCK,
        ])
        return rows[0]?.alone ?? true
      } catch {
        return true
      }
    },
    async leave() {
      await client.end().catch(() => undefined)
    },
  }
}

async function requireDirectory(client: pg.Client, data: string): Promise<void> {
  const { rows } = await client.query<{ data_directory: string }>('show data_directory')
  const served = rows[0]?.data_directory ?? ''
  if ((await realpath(served)) !== (await realpath(data)))
    throw new Error(`port serves ${served}, not ${data}`)
}

async function createDatabase(client: pg.Client, database: string): Promise<void> {
  const { rowCount } = await client.query('select from pg_database where datname = $1', [database])
  if (rowCount) return
  await client.query(`create database ${client.escapeIdentifier(database)}`).catch((error: unknown) => {
    // Another process creates it at this moment.
    if (!DUPLICATE_DATABASE.includes(sqlState(error) ?? '')) throw error
  })
}

function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined
}
