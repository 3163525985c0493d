/**
 * Runs a Postgres server of our own with initdb and pg_ctl. It lives outside of our process group and survives
 * us; whoever starts on the same directory next finds it by its postmaster.pid and takes it over. Each process
 * that uses it holds a shared advisory lock; the last one to stop it, by getting that lock exclusively, stops it.
 */
import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Place } from './account.ts'
import { runCommand } from './command.ts'
import { freePort } from './free-port.ts'
import { initialise, writeSettings } from './initialise.ts'
import { joinCluster, serverUrl, type Membership } from './membership.ts'
import { findPostmaster } from './postmaster.ts'

const START_TIMEOUT_MS = 60_000
const PORT_TAKEN = /could not bind .* Address already in use/
const STILL_HELD = /lock file "postmaster\.pid" already exists|pre-existing shared memory block/

export interface ClusterOptions {
  place: Place
  binDirectory: string
  /** Created if missing. */
  database: string
  /** 0 or absent: a free one. */
  port?: number
  settings?: Record<string, string>
  initdbFlags?: readonly string[]
}

export interface Cluster {
  url: string
  /** Where the data is in the end; see preparePlace. */
  directory: string
  pid: number
  /**
   * Safe twice. `fast`, the default, leaves the server running if another live process uses it;
   * `immediate` is a crash on purpose, whoever uses it.
   */
  stop(mode?: 'fast' | 'immediate'): Promise<void>
}

/**
 * Initialises the cluster where needed, starts its server or takes over the one that runs, and creates the database.
 * @throws with the end of the server's log
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { place, binDirectory, database } = options
  const data = join(place.home, 'data')
  const password = await initialise(place, binDirectory, options.initdbFlags ?? [])
  const deadline = performance.now() + START_TIMEOUT_MS
  for (;;) {
    const running = await findPostmaster(data)
    if (running) {
      const membership = await joinCluster(data, running.port, password, database)
      if (membership) {
        const url = serverUrl(running.port, password, database)
        return { url, directory: place.home, pid: running.pid, stop: stopper(options, membership) }
      }
    } else if (await launch(options)) {
      continue
    }
    if (performance.now() > deadline) {
      throw new Error(`the Postgres server in ${data} does not answer${await logTail(place)}`)
    }
    await sleep(50)
  }
}

/** @returns whether the server is up; false asks for another try. */
async function launch({ place, binDirectory, port, settings }: ClusterOptions): Promise<boolean> {
  const log = join(place.home, 'server.log')
  await writeSettings(place, {
    ...settings,
    listen_addresses: '127.0.0.1',
    port: String(port || (await freePort())),
    unix_socket_directories: '',
    lc_messages: 'C',
    timezone: 'UTC',
    log_timezone: 'UTC',
  })
  await rename(log, `${log}.previous`).catch(() => undefined)
  const { code } = await runCommand(
    join(binDirectory, 'pg_ctl'),
    ['start', '--wait', `--timeout=${START_TIMEOUT_MS / 1000}`, '-D', join(place.home, 'data'), '-l', log],
    { account: place.account, quiet: true },
  )
  if (code === 0) return true
  const tail = await logTail(place)
  // Ports: somebody took ours after we looked. Locks: another process starts the same cluster, or the
  // children of a killed server are about to notice.
  if ((PORT_TAKEN.test(tail) && !port) || STILL_HELD.test(tail)) return false
  throw new Error(`the Postgres server in ${place.home} did not start${tail}`)
}

function stopper({ place, binDirectory }: ClusterOptions, membership: Membership): Cluster['stop'] {
  const data = join(place.home, 'data')
  let stopping: Promise<void> | undefined
  const stop = async (mode: 'fast' | 'immediate') => {
    try {
      if (mode === 'fast' && !(await membership.isLast())) return
      if (!(await findPostmaster(data))) return
      const { code, output } = await runCommand(
        join(binDirectory, 'pg_ctl'),
        ['stop', '--wait', `--mode=${mode}`, '-D', data],
        { account: place.account },
      )
      if (code !== 0 && (await findPostmaster(data))) {
        throw new Error(`the Postgres server in ${data} did not stop: ${output}${await logTail(place)}`)
      }
    } finally {
      await membership.leave()
    }
  }
  return (mode = 'fast') => (mode === 'immediate' ? (stopping = stop(mode)) : (stopping ??= stop(mode)))
}

async function logTail({ home }: Place): Promise<string> {
  const text = await readFile(join(home, 'server.log'), 'utf8').catch(() => '')
  return text ? `; its log ends:\n${text.trimEnd().split('\n').slice(-20).join('\n')}` : ''
}
