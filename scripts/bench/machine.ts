import { cpus, loadavg, platform, release, totalmem } from 'node:os'
import type pg from 'pg'

/** What a figure depends on and a reader must know. */
export interface Machine {
  cpu: string
  cores: number
  memoryGiB: number
  system: string
  node: string
  postgres: string
  postgresSettings: Record<string, string>
  /** Of the last minute, when the bench began: others on the machine. */
  load: number
}

export async function describeMachine(db: pg.Client): Promise<Machine> {
  const version = await db.query<{ server_version: string }>('show server_version')
  const settings = await db.query<{ name: string; setting: string }>(
    `select name, current_setting(name) as setting from pg_settings
     where name in ('fsync', 'synchronous_commit', 'shared_buffers', 'max_wal_size', 'wal_sync_method') order by 1`,
  )
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()}`,
    node: process.version,
    postgres: version.rows[0]?.server_version ?? 'unknown',
    postgresSettings: Object.fromEntries(settings.rows.map((row) => [row.name, row.setting])),
    load: Math.round(loadavg()[0]! * 100) / 100,
  }
}
