/** The Postgres server of one test run: started by scripts/test.ts, handed to the test files by the environment. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { preparePlace } from '../../src/database/cluster/account.ts'
import { isAlive } from '../../src/database/cluster/initialise.ts'
import { findPostmaster } from '../../src/database/cluster/postmaster.ts'
import { startCluster } from '../../src/database/cluster/start.ts'
import { embeddedBinDirectory } from '../../src/database/embedded-binaries.ts'
import { migrateToLatest } from '../../src/database/migrate.ts'
import { CREATE_EMPTY, databaseUrlWith, RUN_VARIABLE, SERVER_VARIABLE, templateOf } from './database.ts'

// Containers may share a temporary directory, but not their process ids.
const DIRECTORY_PREFIX = `webhook-outbox-test-${hostname()}-`

/** A temporary directory of this run, which the next run removes if this one is killed. */
export function runDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), `${DIRECTORY_PREFIX}${process.pid}-`))
}

export interface TestServer {
  /** As the server itself says it. */
  version: string
  /** For the processes that run the test files. */
  environment: Record<string, string>
  /** Names of test databases that are left. */
  leftovers(): Promise<string[]>
  stop(): Promise<void>
}

/**
 * Starts a server in a temporary directory (the embedded Postgres, or a local one by TEST_POSTGRES=15), or uses the one
 * that TEST_DATABASE_URL names, and makes the template that createTestDatabase clones.
 */
export async function startTestServer(): Promise<TestServer> {
  await removeAbandoned()
  const given = process.env[SERVER_VARIABLE]
  const server = given ? { url: given, stop: async () => {} } : await startTemporary()
  const run = randomBytes(4).toString('hex')
  const template = templateOf(run)
  const stop = async () => {
    try {
      if (given) await withClient(given, (client) => dropRun(client, run))
    } finally {
      await server.stop()
    }
  }
  try {
    const version = await withClient(server.url, async (client) => {
      const { rows } = await client.query<{ server_version: string }>('show server_version')
      await client.query(`create database ${template} ${CREATE_EMPTY}`)
      return rows[0]?.server_version ?? 'unknown'
    })
    await migrateToLatest(databaseUrlWith(server.url, { database: template }))
    return {
      version: given ? `${version}, by ${SERVER_VARIABLE}` : version,
      environment: { [SERVER_VARIABLE]: server.url, [RUN_VARIABLE]: run },
      leftovers: () =>
        withClient(server.url, async (client) =>
          (await databasesOf(client, run)).filter((name) => name !== template),
        ),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startTemporary(): Promise<{ url: string; stop(): Promise<void> }> {
  const log = (message: string) => console.log(message)
  const directory = await runDirectory()
  try {
    const place = await preparePlace(directory, log)
    const version = process.env['TEST_POSTGRES']
    const cluster = await startCluster({
      place,
      binDirectory: version
        ? await localBinDirectory(version)
        : await embeddedBinDirectory(place.account, log),
      database: 'postgres',
      initdbFlags: ['--no-sync'],
      settings: { shared_buffers: '64MB', max_connections: '300' },
    })
    return {
      url: cluster.url,
      stop: async () => {
        await cluster.stop('immediate')
        await rm(directory, { recursive: true, force: true })
      },
    }
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    throw error
  }
}

/** @throws where this machine has no such PostgreSQL */
export async function localBinDirectory(version: string): Promise<string> {
  const { stdout } = await promisify(execFile)('pg_config', ['--bindir']).catch(() => ({ stdout: '' }))
  const found = [`/usr/lib/postgresql/${version}/bin`, stdout.trim()].find((directory) =>
    existsSync(join(directory, 'initdb')),
  )
  if (found) return found
  throw new Error(
    `TEST_POSTGRES=${version}: no initdb in /usr/lib/postgresql/${version}/bin, nor by pg_config`,
  )
}

/** A test run that was killed leaves its server behind; the next one takes it away. */
export async function removeAbandoned(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(DIRECTORY_PREFIX)) continue
    const pid = Number.parseInt(name.slice(DIRECTORY_PREFIX.length), 10)
    if (!pid || isAlive(pid)) continue
    const directory = join(tmpdir(), name)
    try {
      const left = await findPostmaster(join(directory, 'data'))
      if (left) process.kill(left.pid, 'SIGQUIT')
      await rm(directory, { recursive: true, force: true, maxRetries: 5 })
    } catch {
      // Another account's: it is for that account to remove.
    }
  }
}

async function databasesOf(client: pg.Client, run: string): Promise<string[]> {
  const { rows } = await client.query<{ datname: string }>(
    'select datname from pg_database where starts_with(datname, $1) order by 1',
    [templateOf(run).replace('template', '')],
  )
  return rows.map((row) => row.datname)
}

async function dropRun(client: pg.Client, run: string): Promise<void> {
  for (const name of await databasesOf(client, run)) {
    await client.query(`drop database if exists ${name} with (force)`)
  }
}

async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}
