import { promises as fs } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Kysely, sql } from 'kysely'
import {
  FileMigrationProvider,
  type MigrateOptions,
  type MigrationInfo,
  type MigrationResultSet,
  Migrator,
} from 'kysely/migration'
import { connect } from './connection.ts'
import type { Database } from './tables.ts'

const migrationTableName = 'webhook_migration'
const migrationLockTableName = 'webhook_migration_lock'

/**
 * Kysely's migrator, which takes its own two tables along where no migration is applied: after the last step
 * down, and where the first one up was refused. A database which this service was added to is left as it was.
 */
class OutboxMigrator extends Migrator {
  readonly #db: Kysely<unknown>

  constructor(db: Kysely<unknown>) {
    super({
      db,
      migrationTableName,
      migrationLockTableName,
      provider: new FileMigrationProvider({
        fs,
        path,
        migrationFolder: path.resolve(import.meta.dirname, '../../db/migrations'),
        import: (file) => import(pathToFileURL(file).href),
      }),
    })
    this.#db = db
  }

  override async migrateToLatest(options?: MigrateOptions): Promise<MigrationResultSet> {
    const result = await super.migrateToLatest(options)
    return result.error === undefined ? result : this.#forgetWhenEmpty(result)
  }

  override async migrateUp(options?: MigrateOptions): Promise<MigrationResultSet> {
    const result = await super.migrateUp(options)
    return result.error === undefined ? result : this.#forgetWhenEmpty(result)
  }

  override async migrateDown(options?: MigrateOptions): Promise<MigrationResultSet> {
    return this.#forgetWhenEmpty(await super.migrateDown(options))
  }

  override async migrateTo(
    target: Parameters<Migrator['migrateTo']>[0],
    options?: MigrateOptions,
  ): Promise<MigrationResultSet> {
    return this.#forgetWhenEmpty(await super.migrateTo(target, options))
  }

  async #forgetWhenEmpty(result: MigrationResultSet): Promise<MigrationResultSet> {
    try {
      await this.#forget()
    } catch (error) {
      // A database that is away says so twice: the first error is the one that matters.
      return { ...result, error: result.error ?? error }
    }
    return result
  }

  async #forget(): Promise<void> {
    await this.#db.transaction().execute(async (trx) => {
      const { rows } = await sql<{ present: boolean }>`
        select to_regclass(${migrationTableName}) is not null as present`.execute(trx)
      if (rows[0]?.present !== true) return
      // The lock keeps a migration that starts at this moment from losing the table under its hands.
      await sql`lock table ${sql.table(migrationLockTableName)}, ${sql.table(migrationTableName)}`.execute(
        trx,
      )
      const applied = await sql`select from ${sql.table(migrationTableName)} limit 1`.execute(trx)
      if (applied.rows.length > 0) return
      await sql`drop table ${sql.table(migrationTableName)}, ${sql.table(migrationLockTableName)}`.execute(
        trx,
      )
    })
  }
}

/** The one migrator, for the service, the tests and kysely-ctl (see db/kysely.config.ts). */
export function createMigrator(db: Kysely<unknown> | Kysely<Database>): Migrator {
  // It builds its queries for its own tables: what is typed of the others does not matter to it.
  return new OutboxMigrator(db as Kysely<unknown>)
}

/**
 * Migrates the database at `url` to the latest version.
 * @throws the first migration's error: Kysely returns it, which a caller would miss.
 */
export async function migrateToLatest(url: string): Promise<void> {
  const db = connect(url, { maxConnections: 1 })
  try {
    const { error } = await createMigrator(db).migrateToLatest()
    if (error !== undefined) throw error as Error
  } finally {
    await db.destroy()
  }
}

/** Names of the migrations that the database still lacks; empty when it is at the latest version. */
export async function pendingMigrations(db: Kysely<Database>): Promise<string[]> {
  const migrations: readonly MigrationInfo[] = await createMigrator(db).getMigrations()
  return migrations.filter((m) => m.executedAt === undefined).map((m) => m.name)
}

/** What to do about them, in words. */
export function runMigrate(pending: readonly string[]): string {
  return `run migrate: the database lacks ${pending.join(', ')}`
}
