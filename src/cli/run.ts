import { main } from './main.ts'

/** The process of a command line. Its exit code is set and not forced, so that what was printed gets through a pipe. */
export async function run(argv: readonly string[]): Promise<void> {
  // Whoever reads may have seen enough (`| head`).
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(0)
  })
  process.exitCode = await main(argv)
}
