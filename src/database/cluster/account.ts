import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chown, lchown, lstat, mkdir, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** The system account that Postgres runs under; it refuses to run as root. */
export interface Account {
  uid: number
  gid: number
}

export interface Place {
  /** Holds `data/`, `password` and `server.log`. */
  home: string
  /** Undefined: our own account. */
  account: Account | undefined
}

export type Log = (message: string) => void

/**
 * Creates the directory for a cluster and says which account its Postgres runs under: our own, or, as root,
 * the owner of the data that is there, else the user `postgres`, else `nobody`. A directory that this account
 * cannot reach (a checkout in /root) is replaced by one under the system's temporary directory.
 */
export async function preparePlace(directory: string, log: Log): Promise<Place> {
  const wanted = resolve(directory)
  if (process.getuid?.() !== 0) {
    await mkdir(wanted, { recursive: true, mode: 0o700 })
    return { home: wanted, account: undefined }
  }
  const account = (await ownerOf(join(wanted, 'data'))) ?? (await unprivilegedAccount())
  const made = await mkdir(wanted, { recursive: true })
  await handOver(wanted, account)
  if (await canReach(wanted, account)) return { home: wanted, account }

  if (made) await rm(made, { recursive: true })
  const home = temporaryPath(wanted)
  await mkdir(home, { recursive: true, mode: 0o700 })
  await refuseForeign(home, account)
  await handOver(home, account)
  if (!(await canReach(home, account))) {
    throw new Error(
      `uid ${account.uid}, which runs Postgres for root, can reach neither ${wanted} nor ${home}`,
    )
  }
  log(`uid ${account.uid}, which runs Postgres for root, cannot reach ${wanted}: the data is in ${home}`)
  return { home, account }
}

/** Whether the account can enter a directory, or run a file, through all of its parents. */
export async function canReach(path: string, account: Account | undefined): Promise<boolean> {
  if (!account) return true
  // Asking the kernel as that account also gets ACLs and mount options right, which mode bits do not tell.
  return execute('/bin/sh', ['-c', 'test -r "$1" && test -x "$1"', 'sh', path], {
    ...account,
    cwd: '/',
  }).then(
    () => true,
    () => false,
  )
}

/**
 * Temporary directories have names that others can guess: one that somebody else made is not used.
 * @throws if the path is not a directory of root's or of one of the two accounts
 */
export async function refuseForeign(path: string, account: Account | undefined): Promise<void> {
  const found = await lstat(path)
  const trusted = [process.getuid?.(), account?.uid]
  if (!found.isDirectory() || (process.getuid && !trusted.includes(found.uid))) {
    throw new Error(`${path} was made by somebody else (uid ${found.uid}): remove it`)
  }
}

/** A name under the system's temporary directory that is always the same for the same path. */
export function temporaryPath(path: string): string {
  const hash = createHash('sha256').update(path).digest('hex').slice(0, 12)
  return join(tmpdir(), `webhook-outbox-${basename(path)}-${hash}`)
}

async function ownerOf(path: string): Promise<Account | undefined> {
  const found = await stat(path).catch(() => undefined)
  return found && found.uid !== 0 ? { uid: found.uid, gid: found.gid } : undefined
}

async function unprivilegedAccount(): Promise<Account> {
  for (const name of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = await Promise.all([execute('id', ['-u', name]), execute('id', ['-g', name])])
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
    } catch {
      continue
    }
  }
  throw new Error(
    'Postgres does not run as root, and there is neither a user postgres nor nobody: set DATABASE_URL',
  )
}

async function handOver(home: string, account: Account): Promise<void> {
  await chown(home, account.uid, account.gid)
  const data = join(home, 'data')
  const found = await lstat(data).catch(() => undefined)
  // Data that belongs to root was copied there by root (a restored backup).
  if (found?.uid !== 0) return
  await lchown(data, account.uid, account.gid)
  for (const entry of await readdir(data, { recursive: true })) {
    await lchown(join(data, entry), account.uid, account.gid)
  }
}
