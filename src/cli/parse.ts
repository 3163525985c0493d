import { parseArgs } from 'node:util'
import { type Command, type Options, UsageError, type Values } from './command.ts'
import { nearest } from './nearest.ts'

const common = {
  help: { type: 'boolean', short: 'h' },
} as const

export type Parsed = { help: true } | { help: false; values: Values<Options>; args: string[] }

/** @throws UsageError that names what is wrong, and what may be meant */
export function parse(command: Command, argv: readonly string[]): Parsed {
  const { options } = command
  const known = { ...common, ...options }
  const { tokens } = parseArgs({ args: [...argv], options: known, strict: false, tokens: true })
  const values: Record<string, string | boolean> = {}
  const args: string[] = []
  let literal = false
  for (const token of tokens) {
    if (token.kind === 'option-terminator') literal = true
    else if (token.kind === 'positional') args.push(token.value)
    else if (!literal) values[token.name] = valueOf(token, known)
  }
  if (values['help'] === true) return { help: true }
  checkArguments(command, args)
  return { help: false, values: values as Values<Options>, args }
}

type Given = Extract<NonNullable<ReturnType<typeof parseArgs>['tokens']>[number], { kind: 'option' }>

function valueOf(
  token: Given,
  known: Readonly<Record<string, { type: 'string' | 'boolean' }>>,
): string | boolean {
  const option = Object.hasOwn(known, token.name) ? known[token.name] : undefined
  if (option === undefined) {
    const meant = nearest(token.name, Object.keys(known))
    throw new UsageError(
      `there is no option ${token.rawName}${meant === undefined ? '' : `: did you mean --${meant}?`}`,
    )
  }
  if (option.type === 'boolean') {
    if (token.value !== undefined) throw new UsageError(`--${token.name} takes no value`)
    return true
  }
  // `--state --json` forgot the value; one that begins with a dash is written with `=`.
  if (token.value === undefined || (!token.inlineValue && token.value.startsWith('-'))) {
    throw new UsageError(`--${token.name} needs a value`)
  }
  return token.value
}

function checkArguments({ arguments: wanted = [] }: Command, args: string[]): void {
  const missing = wanted.filter((argument) => argument.optional !== true)[args.length]
  if (missing !== undefined) throw new UsageError(`<${missing.name}> is missing`)
  const surplus = args[wanted.length]
  if (surplus !== undefined) throw new UsageError(`"${surplus}" is one argument too many`)
}
