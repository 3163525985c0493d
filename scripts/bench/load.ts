import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import type { Guard } from './guard.ts'
import { connect } from './stage.ts'

/** Autocommitted updates of tasks at random by several connections for a while. */
export interface Load {
  url: string
  clients: number
  /** Ids are drawn from 1 to this. */
  tasks: number
  seconds: number
  /** The statement, given what stands for the id. */
  update: (id: string) => string
  guard: Guard
}

export interface LoadResult {
  updates: number
  elapsedMs: number
}

/**
 * The load by pgbench; undefined where there is none on the PATH.
 * @throws where pgbench fails
 */
export async function runPgbench(load: Load): Promise<LoadResult | undefined> {
  const { hostname, port, username, password, pathname } = new URL(load.url)
  const args = ['-n', '-M', 'prepared', '-f', '-', '-c', String(load.clients), '-j', '2']
  const target = ['-h', hostname, '-p', port, '-U', username, '-T', String(load.seconds), pathname.slice(1)]
  // The password goes by the environment: everybody can read a command line.
  const env = { ...process.env, PGPASSWORD: decodeURIComponent(password) }
  const child = spawn('pgbench', [...args, ...target], { env })
  const exited = new Promise<number | null>((done, reject) => {
    child.once('error', reject)
    child.once('exit', done)
  })
  const missing = await new Promise<boolean>((answer) => {
    child.once('spawn', () => answer(false))
    child.once('error', () => answer(true))
  })
  if (missing) {
    exited.catch(() => undefined)
    return undefined
  }
  await load.guard.watch(child.pid!, 'SIGTERM')
  child.stdin.end(`\\set id random(1, ${load.tasks})\n${load.update(':id')};\n`)
  const [output, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), exited])
  await load.guard.forget(child.pid!)
  const updates = /number of transactions actually processed: (\d+)/.exec(output)?.[1]
  const rate = /tps = ([\d.]+) \(without initial connection time\)/.exec(output)?.[1]
  if (code !== 0 || updates === undefined || rate === undefined) {
    throw new Error(`pgbench failed (${code}): ${errors.trim().slice(-1_000)}`)
  }
  return { updates: Number(updates), elapsedMs: (Number(updates) * 1_000) / Number(rate) }
}

/** The same load by connections of this process, whose own speed then counts too. */
export async function runWriters({ url, clients, tasks, seconds, update }: Load): Promise<LoadResult> {
  const connections = await Promise.all(Array.from({ length: clients }, () => connect(url)))
  const query = { name: 'update', text: update('$1::text') }
  const beganAt = performance.now()
  const endAt = beganAt + seconds * 1_000
  let updates = 0
  await Promise.all(
    connections.map(async (connection) => {
      while (performance.now() < endAt) {
        const id = 1 + Math.floor(Math.random() * tasks)
        const { rowCount } = await connection.query({ ...query, values: [String(id)] })
        updates += rowCount ?? 0
      }
    }),
  )
  const elapsedMs = performance.now() - beganAt
  await Promise.all(connections.map((connection) => connection.end()))
  return { updates, elapsedMs }
}
