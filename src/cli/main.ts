import { ApiError, NoAnswer } from '../client/errors.ts'
import { ConfigError } from '../config.ts'
import { version } from '../version.ts'
import { UsageError } from './command.ts'
import { commands } from './commands.ts'
import { helpOf, helpOfAll } from './help.ts'
import { nearest } from './nearest.ts'
import { Output } from './output.ts'
import { parse } from './parse.ts'
import { program } from './program.ts'

/**
 * Carries out one command line.
 * @returns its exit code: 0 done, and nothing is wrong; 1 something is wrong, or the service refused; 2 the command line or
 *   the configuration cannot be used
 */
export async function main(argv: readonly string[], out = new Output()): Promise<number> {
  const [name, ...rest] = argv
  if (name === undefined) {
    out.note(helpOfAll(version))
    return 2
  }
  if (name === '--version') {
    out.line(version)
    return 0
  }
  try {
    if (name === '--help' || name === '-h' || name === 'help') return await help(rest, out)
    const entry = Object.hasOwn(commands, name) ? commands[name] : undefined
    if (entry === undefined) throw unknownCommand(name)
    const command = await entry.load()
    const parsed = parse(command, rest)
    if (!parsed.help) return await command.run({ values: parsed.values, args: parsed.args, out })
    out.text(helpOf(name, command))
    return 0
  } catch (error) {
    return report(error, name, out)
  }
}

async function help([name]: string[], out: Output): Promise<number> {
  if (name === undefined || name.startsWith('-')) {
    out.text(helpOfAll(version))
    return 0
  }
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (entry === undefined) throw unknownCommand(name)
  out.text(helpOf(name, await entry.load()))
  return 0
}

function unknownCommand(name: string): UsageError {
  const meant = nearest(name, Object.keys(commands))
  return new UsageError(
    `there is no command "${name}"${meant === undefined ? '' : `: did you mean ${meant}?`} (${program} --help lists them)`,
  )
}

function report(error: unknown, name: string, out: Output): number {
  if (error instanceof UsageError) {
    const hint = Object.hasOwn(commands, name) ? `\nsee: ${program} ${name} --help` : ''
    out.note(`${error.message}${hint}`)
    return 2
  }
  if (error instanceof ConfigError) {
    out.note(error.message)
    return 2
  }
  out.note(inWords(error))
  return 1
}

function inWords(error: unknown): string {
  if (error instanceof ApiError) {
    const listed = error.errors.map(
      ({ pointer, detail }) => `  ${pointer.replace(/^#\/?/, '') || 'it'} ${detail}`,
    )
    const hint = error.status === 401 ? ['give one of API_TOKENS by --token, or in WEBHOOK_OUTBOX_TOKEN'] : []
    return [`refused (${error.status} ${error.title}): ${error.message}`, ...listed, ...hint].join('\n')
  }
  if (error instanceof NoAnswer) {
    return `${error.message}\nis the service running there? give its address by --url, or in WEBHOOK_OUTBOX_URL; ${program} doctor looks at the database itself`
  }
  // What another service, or another version, answers is read as ours.
  if (error instanceof TypeError) {
    return `the answer is not as webhook-outbox ${version} has it: is it this service, of this version? (${error.message})`
  }
  return error instanceof Error ? error.message : String(error)
}
