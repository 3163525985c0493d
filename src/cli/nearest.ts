import { distance } from '../distance.ts'

/** The name that is within two typing errors of what was given; undefined where none is. */
export function nearest(given: string, names: readonly string[]): string | undefined {
  const near = names
    .map((name) => ({
      name,
      errors: name.startsWith(given) && given.length >= 3 ? 0 : distance(given, name),
    }))
    .filter(({ name, errors }) => errors <= Math.min(2, name.length - 2))
  return near.sort((a, b) => a.errors - b.errors)[0]?.name
}
