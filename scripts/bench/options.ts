import { parseArgs } from 'node:util'

export interface Options {
  /** Names of the cases to run. */
  cases: string[]
  /** Rounds of the cases that alternate; their medians are reported. */
  rounds: number
  /** Smaller counts and shorter times: to see that it works, not to quote. */
  quick: boolean
  /** Where the results are written as JSON. */
  json: string | undefined
  /** A directory for CPU profiles of the dispatchers, one a process. */
  profile: string | undefined
}

/**
 * Reads the command line; `known` are the cases by name with their summaries. With `--help`, returns the usage instead.
 * @throws with the usage where the command line makes no sense
 */
export function readOptions(args: string[], known: Record<string, string>): Options | string {
  const usage = usageOf(known)
  let parsed
  try {
    parsed = parseArgs({
      args,
      allowPositionals: true,
      options: {
        rounds: { type: 'string', default: '3' },
        quick: { type: 'boolean', default: false },
        json: { type: 'string' },
        profile: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${usage}`, { cause: error })
  }
  const { values, positionals } = parsed
  if (values.help) return usage
  const unknown = positionals.find((name) => !Object.hasOwn(known, name))
  if (unknown !== undefined) throw new Error(`there is no case ${unknown}\n${usage}`)
  const rounds = Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 50) {
    throw new Error(`--rounds must be a whole number from 1 to 50\n${usage}`)
  }
  return {
    cases: positionals.length > 0 ? [...new Set(positionals)] : Object.keys(known),
    rounds,
    quick: values.quick,
    json: values.json,
    profile: values.profile,
  }
}

function usageOf(known: Record<string, string>): string {
  const width = Math.max(...Object.keys(known).map((name) => name.length))
  return [
    'npm run bench -- [case…] [--rounds 3] [--quick] [--json FILE] [--profile DIRECTORY]',
    ...Object.entries(known).map(([name, summary]) => `  ${name.padEnd(width)}  ${summary}`),
  ].join('\n')
}
