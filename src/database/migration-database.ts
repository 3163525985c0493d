import { Kysely, PostgresDialect } from 'kysely'
import { readConfig } from '../config.ts'
import type { Cluster } from './cluster/start.ts'
import { createPool } from './connection.ts'
import { embeddedDirectory, startEmbedded } from './embedded.ts'

/** A database that stops its embedded server, if it has one, together with its connections. */
class MigrationDatabase extends Kysely<unknown> {
  readonly #cluster: Cluster | undefined

  constructor(url: string, cluster?: Cluster) {
    super({ dialect: new PostgresDialect({ pool: createPool(url, { maxConnections: 1 }) }) })
    this.#cluster = cluster
  }

  override async destroy(): Promise<void> {
    await super.destroy()
    await this.#cluster?.stop()
  }
}

/** What `npm run migrate` works on: DATABASE_URL, or the embedded Postgres where it is unset. */
export async function openMigrationDatabase(): Promise<Kysely<unknown>> {
  const { databaseUrl } = readConfig(process.env)
  if (databaseUrl !== undefined) return new MigrationDatabase(databaseUrl)
  const cluster = await startEmbedded({ directory: embeddedDirectory })
  return new MigrationDatabase(cluster.url, cluster)
}
