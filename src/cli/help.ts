import type { Command } from './command.ts'
import { commands } from './commands.ts'
import { program } from './program.ts'

const exitCodes = [
  'Exit codes: 0 done, and nothing is wrong; 1 something is wrong, or the service refused; 2 the command line or the',
  'configuration cannot be used.',
].join('\n')

/** The help of all. */
export function helpOfAll(version: string): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length))
  return [
    `webhook-outbox ${version}`,
    '',
    `Usage: ${program} <command> [options]`,
    `       ${program} <command> --help`,
    '',
    'Commands:',
    ...Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    `Why has an event not arrived?  ${program} show <event_id or task_id>`,
    `Is anything wrong?             ${program} status; if the service does not answer: ${program} doctor`,
    '',
    'Commands that ask the service take --url and --token, or WEBHOOK_OUTBOX_URL and WEBHOOK_OUTBOX_TOKEN. Those that',
    'work on the database or the configuration read the environment of the service (DATABASE_URL, …).',
    '',
    exitCodes,
  ].join('\n')
}

/** The help of one command. */
export function helpOf(
  name: string,
  { about, arguments: positionals = [], options, examples = [] }: Command,
): string {
  const given = positionals.map((one) => (one.optional ? ` [<${one.name}>]` : ` <${one.name}>`)).join('')
  const shown = [
    ...Object.entries(options).map(([option, { value, help, short }]) => ({
      flag: `${short === undefined ? '' : `-${short}, `}--${option}${value === undefined ? '' : ` <${value}>`}`,
      help,
    })),
    { flag: '-h, --help', help: 'this text' },
  ]
  const width = Math.max(...shown.map(({ flag }) => flag.length))
  return [
    `Usage: ${program} ${name}${given}${Object.keys(options).length === 0 ? '' : ' [options]'}`,
    '',
    about,
    '',
    'Options:',
    ...shown.map(({ flag, help }) => `  ${flag.padEnd(width)}  ${help}`),
    ...(examples.length === 0
      ? []
      : ['', 'Examples:', ...examples.map((example) => `  ${program} ${example}`)]),
    '',
    exitCodes,
  ].join('\n')
}
