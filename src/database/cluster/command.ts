import { spawn } from 'node:child_process'
import type { Account } from './account.ts'

// The postmaster inherits what its starter is given: nothing of the service's secrets, and no PG* variable
// that would redirect initdb or the server.
const PASSED_ON = ['PATH', 'TMPDIR', 'TEMP', 'TMP', 'SystemRoot', 'LD_LIBRARY_PATH']

export interface CommandResult {
  code: number | null
  output: string
}

/**
 * Runs initdb or pg_ctl under the given account, outside of our process group: Ctrl-C in a terminal must not
 * interrupt it. With `quiet`, nothing is read: a postmaster that keeps the pipe open would hold us up.
 * @throws if the program cannot be run at all
 */
export function runCommand(
  file: string,
  args: string[],
  options: { account?: Account | undefined; quiet?: boolean } = {},
): Promise<CommandResult> {
  const env: NodeJS.ProcessEnv = { LC_ALL: 'C', TZ: 'UTC' }
  for (const name of PASSED_ON) if (process.env[name] !== undefined) env[name] = process.env[name]

  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      ...options.account,
      env,
      cwd: process.platform === 'win32' ? undefined : '/',
      detached: process.platform !== 'win32',
      windowsHide: true,
      stdio: options.quiet ? 'ignore' : ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    const collect = (chunk: Buffer) => (output += chunk.toString())
    child.stdout?.on('data', collect)
    child.stderr?.on('data', collect)
    child.on('error', (cause) => {
      reject(
        new Error(`${file} cannot be run on this system (${cause.message}): set DATABASE_URL`, { cause }),
      )
    })
    child.on('close', (code) => resolve({ code, output: output.trim() }))
  })
}
