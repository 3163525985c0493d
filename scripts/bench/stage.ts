import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { startEmbedded } from '../../src/database/embedded.ts'
import { migrateToLatest } from '../../src/database/migrate.ts'
import { cpuMicroseconds } from './cpu-time.ts'
import type { Guard } from './guard.ts'
import { describeMachine, type Machine } from './machine.ts'

/** What all cases share: one Postgres of its own, and the guard that ends everything. */
export interface Stage {
  guard: Guard
  machine: Machine
  /**
   * A migrated database that nobody has used, or a copy of another one of this stage, which nobody is connected to. One of
   * the same name, of an earlier case or run, is dropped.
   */
  createDatabase(name: string, copyOf?: string): Promise<string>
  /** Processor time of the whole server; see cpuMicroseconds. */
  postgresCpu(): number | null
  stop(): Promise<void>
}

/**
 * Starts an embedded Postgres, fsync on, in a temporary directory.
 * @param settings of the server, beside the usual ones
 */
export async function startStage(guard: Guard, settings: Record<string, string> = {}): Promise<Stage> {
  const directory = await mkdtemp(join(tmpdir(), 'webhook-outbox-bench-'))
  await guard.removeAtEnd(directory)
  const cluster = await startEmbedded({ directory, settings })
  // SIGINT is Postgres's fast shutdown.
  await guard.watch(cluster.pid, 'SIGINT')
  const admin = await connect(cluster.url)
  return {
    guard,
    machine: await describeMachine(admin),
    async createDatabase(name, copyOf) {
      const identifier = identify(name)
      const template = copyOf === undefined ? 'template0' : identify(copyOf)
      await admin.query(`drop database if exists ${identifier} with (force)`)
      await admin.query(`create database ${identifier} template ${template} strategy file_copy`)
      const url = new URL(cluster.url)
      url.pathname = `/${identifier}`
      await migrateToLatest(url.href)
      return url.href
    },
    postgresCpu: () => cpuMicroseconds(cluster.pid, { children: true }),
    async stop() {
      await admin.end()
      await cluster.stop()
      await guard.forget(cluster.pid)
    },
  }
}

function identify(name: string): string {
  return `bench_${name.replace(/\W/g, '_')}`
}

export async function connect(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString, application_name: 'bench', query_timeout: 600_000 })
  await client.connect()
  return client
}
