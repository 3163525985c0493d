import { execFile } from 'node:child_process'
import { readFile, readlink, realpath, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { hasCode, isAlive } from './initialise.ts'

export interface Postmaster {
  pid: number
  /** 0 while the server has not got as far as listening. */
  port: number
}

/**
 * The server that runs on a data directory, by its postmaster.pid. A file left by a server that is gone counts
 * as none, and is removed where its process id belongs to another program by now (as after the restart of a
 * container): Postgres itself would then refuse to start.
 */
export async function findPostmaster(data: string): Promise<Postmaster | undefined> {
  const path = join(data, 'postmaster.pid')
  const text = await readIfThere(path)
  if (text === undefined) return undefined
  const lines = text.split('\n')
  const pid = Number(lines[0])
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return undefined
  if (await isPostmasterOf(pid, data)) return { pid, port: Number(lines[3] ?? 0) || 0 }
  if ((await readIfThere(path)) === text) await rm(path, { force: true })
  return undefined
}

async function isPostmasterOf(pid: number, data: string): Promise<boolean> {
  if (process.platform !== 'linux') {
    const listed = await promisify(execFile)('ps', ['-o', 'comm=', '-p', String(pid)]).catch(() => undefined)
    return listed?.stdout.includes('postgres') ?? true
  }
  // "pid (name) state …". A killed server that nobody has reaped yet (a container without an init) is a zombie.
  const [, name, state] = /\((.*)\) (\w)/.exec((await readIfThere(`/proc/${pid}/stat`)) ?? '') ?? []
  if (name !== 'postgres' || state === 'Z') return false
  try {
    return (await readlink(`/proc/${pid}/cwd`)) === (await realpath(data))
  } catch (error) {
    // Root in a container may be forbidden to look at another account's process any closer.
    return !hasCode(error, 'ENOENT')
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}
