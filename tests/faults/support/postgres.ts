import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { preparePlace } from '../../../src/database/cluster/account.ts'
import { type Cluster, startCluster } from '../../../src/database/cluster/start.ts'
import { embeddedBinDirectory } from '../../../src/database/embedded-binaries.ts'
import { migrateToLatest } from '../../../src/database/migrate.ts'
import { CREATE_EMPTY, databaseUrlWith } from '../../support/database.ts'
import { localBinDirectory, runDirectory } from '../../support/server.ts'
import { createWitness } from './witness.ts'

/**
 * A real Postgres from its own data directory, fsync on, that a test may stop as a crash would and start again
 * on the same port and data.
 */
export interface FaultServer {
  /** 180004 is 18.4. */
  version: number
  port: number
  /** Holds `data/`. */
  directory: string
  /** A clone of the migrated template, with a witness (see witness.ts) in it. */
  createDatabase(): Promise<{ url: string; drop(): Promise<void> }>
  /** As by `pg_ctl stop -m immediate`: no checkpoint, no goodbye. */
  stopImmediately(): Promise<void>
  /** Resolves once it accepts connections. Nothing where it runs already. */
  start(settings?: Record<string, string>): Promise<void>
  close(): Promise<void>
}

const TEMPLATE = 'faults_template'
// Below the range of ports for outgoing connections: where nobody listens on a port of that range, a client that
// tries again and again connects to itself one day, and the server could never have its port back.
const PORTS = { from: 20_000, to: 32_000 }

/** @param directory a directory of its own unless given */
export async function startFaultServer(directory?: string): Promise<FaultServer> {
  directory ??= await runDirectory()
  const place = await preparePlace(directory, (message) => console.log(message))
  const version = process.env['TEST_POSTGRES']
  const binDirectory = version
    ? await localBinDirectory(version)
    : await embeddedBinDirectory(place.account, (message) => console.log(message))
  const port = await freePort()
  let cluster: Cluster | undefined
  let current: Record<string, string> = {}

  const start = async (settings = current) => {
    current = settings
    cluster ??= await startCluster({
      place,
      binDirectory,
      database: 'postgres',
      port,
      initdbFlags: ['--no-sync'],
      settings: { fsync: 'on', shared_buffers: '64MB', max_connections: '100', ...settings },
    })
  }
  const stopImmediately = async () => {
    await cluster?.stop('immediate')
    cluster = undefined
  }
  const close = async () => {
    await stopImmediately()
    await rm(directory, { recursive: true, force: true, maxRetries: 5 })
  }

  try {
    await start()
    const { url } = cluster!
    const { rows } = await onServer(url, async (client) => {
      await client.query(`create database ${TEMPLATE} ${CREATE_EMPTY}`)
      return client.query<{ version: number }>(
        `select current_setting('server_version_num')::integer as version`,
      )
    })
    await migrateToLatest(databaseUrlWith(url, { database: TEMPLATE }))
    await onServer(databaseUrlWith(url, { database: TEMPLATE }), createWitness)
    return {
      version: rows[0]!.version,
      port,
      directory: join(place.home),
      createDatabase: async () => {
        const name = `faults_${randomBytes(4).toString('hex')}`
        await onServer(url, (client) => client.query(`create database ${name} template ${TEMPLATE}`))
        return {
          url: databaseUrlWith(url, { database: name }),
          drop: async () => {
            await onServer(url, (client) => client.query(`drop database ${name} with (force)`))
          },
        }
      },
      stopImmediately,
      start,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

export async function onServer<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'faults' })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end().catch(() => undefined)
  }
}

async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from))
    const server = createServer()
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
    })
    if (free) return port
  }
}
