import type { MigrationResultSet } from 'kysely/migration'
import { createMigrator, pendingMigrations } from '../../database/migrate.ts'
import { command, UsageError } from '../command.ts'
import { databaseError, openDatabase } from '../database.ts'
import type { Output } from '../output.ts'

export const migrate = command({
  about: `Brings the database of DATABASE_URL to this version, or the embedded one where that is unset. Where something of the
host's cannot serve, nothing is changed, and each reason is named.

The migrating role must own the tables projects, tickets, tasks and agents, where they exist.`,
  options: {
    'dry-run': { type: 'boolean', help: 'only list what would be applied; 1 where something would' },
    down: {
      type: 'boolean',
      help: 'go one step back; what that step created is removed, with what is in it',
    },
    json: { type: 'boolean', help: 'print JSON' },
  },
  examples: ['migrate --dry-run', 'migrate'],
  async run({ values, out }) {
    const { 'dry-run': dryRun, down, json } = values
    if (dryRun && down) throw new UsageError('--dry-run and --down do not go together')
    const { db, close } = await openDatabase({ create: dryRun !== true })
    try {
      if (dryRun) {
        const pending = await pendingMigrations(db)
        if (json) out.json({ pending })
        else out.text(pending.length === 0 ? 'Nothing is pending.' : `Pending:\n  ${pending.join('\n  ')}`)
        return pending.length === 0 ? 0 : 1
      }
      const migrator = createMigrator(db)
      return report(
        out,
        down ? await migrator.migrateDown() : await migrator.migrateToLatest(),
        json === true,
      )
    } catch (error) {
      throw new Error(databaseError(error), { cause: error })
    } finally {
      await close()
    }
  },
})

function report(out: Output, { results = [], error }: MigrationResultSet, json: boolean): number {
  const done = results.filter(({ status }) => status === 'Success')
  if (json) {
    out.json({
      done: done.map(({ migrationName, direction }) => ({ migration: migrationName, direction })),
      error: error === undefined ? null : databaseError(error),
    })
  } else {
    for (const { migrationName, direction } of done) {
      out.line(`${direction === 'Up' ? 'applied' : 'taken back'}  ${migrationName}`)
    }
    if (error === undefined && done.length === 0) out.line('Nothing to do: the database is at this version.')
    if (error !== undefined) out.note(`refused: ${databaseError(error)}`)
  }
  return error === undefined ? 0 : 1
}
