import { randomBytes } from 'node:crypto'
import { appendFile, link, open, readFile, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Account, Place } from './account.ts'
import { runCommand } from './command.ts'

/** Written before each start; included by postgresql.conf, so that a pg_ctl by hand sees the same settings. */
export const SETTINGS_FILE = 'webhook-outbox.conf'

const UNFINISHED = /^data\.init-(\d+)-/

const underWay = new Set<string>()

/**
 * Makes `data/` with initdb unless it is there. It appears by one rename, complete: an initdb that was
 * interrupted leaves only a sibling, which the next call removes. Safe in two processes at once.
 * @returns the superuser's password
 */
export async function initialise(
  place: Place,
  binDirectory: string,
  flags: readonly string[],
): Promise<string> {
  const { home, account } = place
  const initialised = await isFile(join(home, 'data', 'PG_VERSION'))
  const password = await ensurePassword(home, account, initialised)
  if (initialised) return password

  await removeUnfinished(home)
  const fresh = `data.init-${process.pid}-${randomBytes(4).toString('hex')}`
  underWay.add(fresh)
  try {
    await initialiseIn(join(home, fresh), place, binDirectory, flags)
  } finally {
    underWay.delete(fresh)
  }
  return password
}

async function initialiseIn(
  fresh: string,
  { home, account }: Place,
  binDirectory: string,
  flags: readonly string[],
): Promise<void> {
  const data = join(home, 'data')
  const { code, output } = await runCommand(
    join(binDirectory, 'initdb'),
    [
      `--pgdata=${fresh}`,
      '--username=postgres',
      `--pwfile=${join(home, 'password')}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--no-instructions',
      ...flags,
    ],
    { account },
  )
  if (code !== 0) {
    await rm(fresh, { recursive: true, force: true })
    throw new Error(`initdb failed in ${home}:\n${output}`)
  }
  await appendFile(join(fresh, 'postgresql.conf'), `\ninclude_if_exists = '${SETTINGS_FILE}'\n`)
  try {
    await rename(fresh, data)
  } catch (cause) {
    await rm(fresh, { recursive: true, force: true })
    if (!(await isFile(join(data, 'PG_VERSION')))) {
      throw new Error(`${data} is in the way: it is not a Postgres data directory`, { cause })
    }
  }
}

/** Writes the settings, by a rename: root does not follow a link that the account may have put there. */
export async function writeSettings(
  { home, account }: Place,
  settings: Record<string, string>,
): Promise<void> {
  const lines = Object.entries(settings).map(
    ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`,
  )
  const draft = await writeDraft(home, account, lines.join(''))
  await rename(draft, join(home, 'data', SETTINGS_FILE))
}

async function ensurePassword(
  home: string,
  account: Account | undefined,
  initialised: boolean,
): Promise<string> {
  const path = join(home, 'password')
  if (!(await isFile(path))) {
    if (initialised) throw new Error(`${path} is missing: restore it, or remove ${home} with all of its data`)
    const draft = await writeDraft(home, account, `${randomBytes(24).toString('base64url')}\n`)
    try {
      // Unlike a rename, a link never replaces the password that another process has just begun to use.
      await link(draft, path)
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error
    } finally {
      await rm(draft)
    }
  }
  return (await readFile(path, 'utf8')).trim()
}

async function writeDraft(home: string, account: Account | undefined, text: string): Promise<string> {
  const path = join(home, `draft-${randomBytes(6).toString('hex')}`)
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(text)
    if (account) await file.chown(account.uid, account.gid)
    await file.sync()
  } finally {
    await file.close()
  }
  return path
}

async function removeUnfinished(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    const pid = Number(UNFINISHED.exec(name)?.[1])
    // Our own id is no sign of life: in a container, the process before us had the same.
    const alive = pid === process.pid ? underWay.has(name) : isAlive(pid)
    if (!pid || alive) continue
    // The killed process's initdb may still be writing there: then the next start removes the rest.
    await rm(join(home, name), { recursive: true, force: true }).catch(() => undefined)
  }
}

/** Whether there is a process of this id, anybody's. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return hasCode(error, 'EPERM')
  }
}

export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile()
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false
    throw error
  }
}
