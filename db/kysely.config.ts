import { defineConfig } from 'kysely-ctl'
import { openMigrationDatabase } from '../src/database/migration-database.ts'
import { createMigrator } from '../src/database/migrate.ts'

export default defineConfig({
  kysely: openMigrationDatabase,
  migrations: { migrator: createMigrator },
})
