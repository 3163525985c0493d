import type { CaseContext } from './case.ts'

/** Measures one party once; the name of the round is new each time. */
export type Run = (round: string) => Promise<number>

/**
 * Lets the parties run in turns, so that what else the machine does hits all of them; who begins changes from round to
 * round. A first round warms up and does not count.
 */
export async function alternate<Name extends string>(
  { options, say }: CaseContext,
  parties: Record<Name, Run>,
  { unit, warmUp = true }: { unit: string; warmUp?: boolean },
): Promise<Record<Name, number[]>> {
  const names = Object.keys(parties) as Name[]
  const figures = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>
  for (let round = warmUp ? 0 : 1; round <= options.rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(turn + round) % names.length]!
      const figure = await parties[name](round === 0 ? 'warm-up' : `round-${round}`)
      say(
        `${round === 0 ? 'warm-up' : `round ${round}`}: ${name} ${figure.toFixed(figure < 10 ? 2 : 0)} ${unit}`,
      )
      if (round > 0) figures[name].push(figure)
    }
  }
  return figures
}

/** Round by round. */
export function ratios(of: readonly number[], to: readonly number[]): number[] {
  return of.map((value, round) => value / to[round]!)
}
