import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { createPool } from '../../src/database/connection.ts'
import { eventually } from './eventually.ts'

export const SERVER_VARIABLE = 'TEST_DATABASE_URL'
export const RUN_VARIABLE = 'TEST_RUN'

/** The same on every server, whatever its own defaults are. */
export const CREATE_EMPTY = `template template0 encoding 'UTF8' locale_provider libc locale 'C'`

export interface TestDatabase {
  url: string
  /** `json` columns come as text, as in the service. */
  query<Row extends pg.QueryResultRow = Record<string, unknown>>(
    text: string,
    values?: unknown[],
  ): Promise<Row[]>
  pool: pg.Pool
  /**
   * Ends the pool and drops the database.
   * @throws where somebody still holds a connection: a client of the pool, or a service that was not stopped
   */
  drop(): Promise<void>
}

/**
 * A database of its own: a clone of the migrated template, an empty one with `migrated: false`, or a copy of another test's,
 * whose connections are closed for it.
 */
export async function createTestDatabase({
  migrated = true,
  copyOf,
}: { migrated?: boolean; copyOf?: TestDatabase } = {}): Promise<TestDatabase> {
  const { server, run } = testRun()
  const name = `${templateOf(run).replace('template', '')}${process.pid}_${randomBytes(3).toString('hex')}`
  const original = copyOf && new URL(copyOf.url).pathname.slice(1)
  const source = original ?? templateOf(run)
  await onServer(server, async (client) => {
    if (original !== undefined) {
      await client.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [
        original,
      ])
    }
    await client.query(`create database ${name} ${migrated ? `template ${source}` : CREATE_EMPTY}`)
  })

  const url = databaseUrlWith(server, { database: name })
  const pool = createPool(url, { applicationName: 'test' })
  // A client that is checked out while its server goes away would otherwise end the process.
  pool.on('connect', (client) => client.on('error', () => undefined))

  return {
    url,
    pool,
    async query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]) {
      return (await pool.query<Row>(text, values)).rows
    },
    async drop() {
      const leaked = pool.totalCount - pool.idleCount
      const ended = pool.end()
      // With a client checked out, end() waits for it for ever.
      if (leaked === 0) await ended
      const others = await onServer(server, async (client) => {
        const sessions = leaked === 0 ? await remainingSessions(client, name) : []
        await client.query(`drop database ${name} with (force)`)
        return sessions
      })
      if (leaked > 0) {
        throw new Error(`${leaked} client(s) of the test database's pool were checked out and never released`)
      }
      if (others.length > 0) {
        throw new Error(`the test ended with connections to its database still open:\n${others.join('\n')}`)
      }
    },
  }
}

/** The same server by another role or database. */
export function databaseUrlWith(
  url: string,
  change: { user?: string; password?: string; database?: string },
): string {
  const changed = new URL(url)
  if (change.user !== undefined) changed.username = encodeURIComponent(change.user)
  if (change.password !== undefined) changed.password = encodeURIComponent(change.password)
  if (change.database !== undefined) changed.pathname = `/${encodeURIComponent(change.database)}`
  return changed.href
}

/** All databases of a run begin with this name up to `template`. */
export function templateOf(run: string): string {
  return `outbox_test_${run}_template`
}

function testRun(): { server: string; run: string } {
  const server = process.env[SERVER_VARIABLE]
  const run = process.env[RUN_VARIABLE]
  if (server && run) return { server, run }
  throw new Error(`this test needs the server of a test run: npm test -- ${process.argv[1] ?? 'tests/…'}`)
}

/** Sessions other than our own; those that are just ending get two seconds to do so. */
async function remainingSessions(client: pg.Client, database: string): Promise<string[]> {
  let sessions: string[] = []
  await eventually(
    async () => {
      const { rows } = await client.query<{ session: string }>(
        `select format('%s (%s): %s', application_name, coalesce(state, backend_type), left(query, 200)) as session
           from pg_stat_activity where datname = $1 and backend_type = 'client backend'`,
        [database],
      )
      sessions = rows.map((row) => row.session)
      if (sessions.length > 0) throw new Error('sessions remain')
    },
    { timeoutMs: 2_000, description: 'all connections are closed' },
  ).catch(() => undefined)
  return sessions
}

async function onServer<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'test support' })
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}
