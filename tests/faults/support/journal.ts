import { open, readFile, type FileHandle } from 'node:fs/promises'

/**
 * A file of JSON lines. An append resolves once its line is on the disk; appends that come while one is being synced share
 * the next sync.
 */
export class Journal<Line> {
  readonly path: string
  readonly #file: FileHandle
  #waiting: { text: string; resolve: () => void; reject: (error: unknown) => void }[] = []
  #writing: Promise<void> | undefined

  private constructor(path: string, file: FileHandle) {
    this.path = path
    this.#file = file
  }

  static async open<Line>(path: string): Promise<Journal<Line>> {
    return new Journal<Line>(path, await open(path, 'a'))
  }

  append(line: Line): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ text: `${JSON.stringify(line)}\n`, resolve, reject })
      this.#writing ??= this.#write()
    })
  }

  /** What is on the disk by now. */
  async lines(): Promise<Line[]> {
    await this.#writing
    return readLines<Line>(this.path)
  }

  async close(): Promise<void> {
    await this.#writing
    await this.#file.close()
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0)
      try {
        await this.#file.appendFile(batch.map(({ text }) => text).join(''))
        await this.#file.datasync()
        for (const { resolve } of batch) resolve()
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    this.#writing = undefined
  }
}

/** The complete lines of such a file; the last one may have been cut off by a kill. */
export async function readLines<Line>(path: string): Promise<Line[]> {
  const text = await readFile(path, 'utf8')
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line)
}
