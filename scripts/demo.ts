/**
 * npm run demo: the whole story on real parts, in about ten seconds. It starts an embedded Postgres in a temporary
 * directory, the service and a receiver, and exits with 0, or with 1 and the reason where a step did not happen.
 * `npm run demo -- --stay` keeps everything up until Ctrl-C.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ky from 'ky'
import pg from 'pg'
import { readConfig } from '../src/config.ts'
import { startEmbedded } from '../src/database/embedded.ts'
import { migrateToLatest } from '../src/database/migrate.ts'
import { createLog } from '../src/observe/log.ts'
import { startService } from '../src/service.ts'
import { startMonitor, type Monitor } from './demo/monitor.ts'
import { say } from './demo/output.ts'
import { tellStory } from './demo/story.ts'

const stay = process.argv.includes('--stay')

type Cleanup = () => Promise<unknown>

async function main(): Promise<void> {
  const cleanups: Cleanup[] = []
  // Ctrl-C ends the story where it is; what has been started is stopped all the same.
  const interrupted = new Promise<void>((resolve, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => (stay ? resolve() : reject(new Error(`stopped by ${signal}`))))
    }
  })
  const work = run(cleanups)
  try {
    await Promise.race([work, interrupted])
  } finally {
    // A step that is under way may have begun something: it ends first, by itself or by what is taken from under it.
    await Promise.race([work.catch(() => undefined), new Promise((resolve) => setTimeout(resolve, 3_000))])
    for (const cleanup of cleanups.reverse()) await cleanup()
  }
}

async function run(cleanups: Cleanup[]): Promise<void> {
  const { monitor, db, apiUrl } = await startParts(cleanups)
  await tellStory({ api: ky.extend({ prefix: `${apiUrl}/api/v1/`, retry: 0 }), db, monitor })
  say(`\nEvery step happened. ${monitor.count()} webhooks arrived.`)
  if (stay) {
    say(`\nStill up until Ctrl-C. Try: curl -s ${apiUrl}/api/v1/deliveries`)
    await new Promise(() => undefined)
  }
}

async function startParts(cleanups: Cleanup[]): Promise<{ monitor: Monitor; db: pg.Client; apiUrl: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'webhook-outbox-demo-'))
  cleanups.push(() => rm(directory, { recursive: true, force: true }))
  say('Starting Postgres …')
  const cluster = await startEmbedded({ directory })
  cleanups.push(() => cluster.stop())
  await migrateToLatest(cluster.url)

  const config = readConfig({
    PORT: stay ? '3000' : '0',
    AGENT_STUCK_AFTER: '2s',
    STUCK_SWEEP_INTERVAL: '500ms',
    LOG_LEVEL: 'silent',
  })
  const urls = { databaseUrl: cluster.url, listenDatabaseUrl: cluster.url }
  const service = await startService({ ...config, ...urls }, createLog(config.logLevel))
  cleanups.push(() => service.stop())
  const monitor = await startMonitor()
  cleanups.push(() => monitor.close())
  const db = new pg.Client({ connectionString: cluster.url, application_name: 'another backend' })
  await db.connect()
  cleanups.push(() => db.end())

  const version = await db.query<{ version: string }>(`select split_part(version(), ' on ', 1) as version`)
  say(
    `${version.rows[0]!.version} on port ${new URL(cluster.url).port}, the service at ${service.url}, a receiver at ${monitor.url('')}`,
  )
  return { monitor, db, apiUrl: service.url }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(1)
  },
)
