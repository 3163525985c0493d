import { parseArgs } from 'node:util'
import type { Case } from './case.ts'

export interface Options {
  /** Names of the cases to run. */
  cases: string[]
  /** Rounds of the cases that alternate; their medians are reported. */
  rounds: number
  /** Smaller counts and shorter times: to compare with the baseline, not to quote. */
  quick: boolean
  /** Where the results are written as JSON. */
  json: string | undefined
  /** A directory for CPU profiles of the dispatchers, one a process. */
  profile: string | undefined
  /** Makes what a quick run measures the new baseline, instead of comparing with it. */
  writeBaseline: boolean
}

/**
 * Reads the command line. Where it names no case, all run but those that say otherwise. With `--help`, returns the usage instead.
 * @throws with the usage where the command line makes no sense
 */
export function readOptions(args: string[], known: readonly Case[]): Options | string {
  const usage = usageOf(known)
  const usual = known.filter(({ onRequest }) => onRequest !== true)
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
        'write-baseline': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${usage}`, { cause: error })
  }
  const { values, positionals } = parsed
  if (values.help) return usage
  const unknown = positionals.find((name) => !known.some((one) => one.name === name))
  if (unknown !== undefined) throw new Error(`there is no case ${unknown}\n${usage}`)
  const rounds = Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 50) {
    throw new Error(`--rounds must be a whole number from 1 to 50\n${usage}`)
  }
  if (values['write-baseline'] && !values.quick)
    throw new Error(`--write-baseline goes with --quick\n${usage}`)
  return {
    cases: positionals.length > 0 ? positionals : usual.map(({ name }) => name),
    rounds,
    quick: values.quick,
    json: values.json,
    profile: values.profile,
    writeBaseline: values['write-baseline'],
  }
}

function usageOf(known: readonly Case[]): string {
  const width = Math.max(...known.map(({ name }) => name.length))
  return [
    'npm run bench -- [case…] [--rounds 3] [--quick] [--json FILE] [--profile DIRECTORY] [--write-baseline]',
    '  --quick compares with scripts/bench/baseline.json, and exits with 1 where a case fell',
    ...known.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
  ].join('\n')
}
