/**
 * npm run schema: writes db/schema.sql, what the migrations make of an empty database, as the pg_dump of PostgreSQL 15
 * prints it; `npm run schema -- --check` compares instead, and exits with 1 where they differ.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { preparePlace } from '../src/database/cluster/account.ts'
import { startCluster } from '../src/database/cluster/start.ts'
import { migrateToLatest } from '../src/database/migrate.ts'
import { localBinDirectory } from '../tests/support/server.ts'

const file = join(import.meta.dirname, '../db/schema.sql')

async function dump(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'webhook-outbox-schema-'))
  const binDirectory = await localBinDirectory('15')
  const cluster = await startCluster({
    place: await preparePlace(directory, () => undefined),
    binDirectory,
    database: 'webhook_outbox',
    initdbFlags: ['--no-sync'],
  })
  try {
    await migrateToLatest(cluster.url)
    const { stdout } = await promisify(execFile)(
      join(binDirectory, 'pg_dump'),
      // The days that have partitions change with every day.
      [
        '--schema-only',
        '--no-owner',
        '--exclude-table=webhook_*_20[0-9][0-9][0-9][0-9][0-9][0-9]',
        cluster.url,
      ],
      { maxBuffer: 64 * 1024 * 1024 },
    )
    return withoutVersions(stdout)
  } finally {
    await cluster.stop('immediate')
    await rm(directory, { recursive: true, force: true })
  }
}

/** Minor versions, and the random token of \restrict, change from one dump to the next. */
function withoutVersions(text: string): string {
  return text
    .split('\n')
    .filter((line) => !/^(-- Dumped |\\restrict |\\unrestrict )/.test(line))
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
}

const dumped = await dump()
if (!process.argv.includes('--check')) {
  await writeFile(file, dumped)
} else if ((await readFile(file, 'utf8')) === dumped) {
  console.log('db/schema.sql is what the migrations make')
} else {
  console.error(
    'db/schema.sql is not what the migrations make: run npm run schema, and commit what it writes',
  )
  process.exitCode = 1
}
