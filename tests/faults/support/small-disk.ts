import { execFile } from 'node:child_process'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** A file system of its own, in memory, that a test can fill to the last byte. */
export interface SmallDisk {
  directory: string
  /** Takes all the space that is left, again and again while others give some back, until `free`. */
  fill(): Promise<void>
  free(): Promise<void>
  unmount(): Promise<void>
}

/** @returns undefined where this machine lets us mount nothing (as another account than root, in most containers) */
export async function mountSmallDisk(megabytes: number): Promise<SmallDisk | undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'webhook-outbox-small-disk-'))
  try {
    await execute('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', directory])
  } catch {
    await rm(directory, { recursive: true })
    return undefined
  }
  const ballast = join(directory, 'ballast')
  return {
    directory,
    async fill() {
      const file = await open(ballast, 'a')
      try {
        for (const size of [1 << 20, 1 << 12]) {
          while (
            (await file.write(Buffer.alloc(size)).catch(() => ({ bytesWritten: 0 }))).bytesWritten === size
          );
        }
      } finally {
        await file.close()
      }
    },
    free: () => rm(ballast, { force: true }),
    async unmount() {
      await execute('umount', [directory])
      await rm(directory, { recursive: true })
    },
  }
}
