import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What V8 writes for --cpu-prof; times are microseconds of the monotonic clock. */
export interface CpuProfile {
  nodes: { id: number; callFrame: { functionName: string; url: string }; children?: number[] }[]
  samples: number[]
  timeDeltas: number[]
  startTime: number
}

/** The work of a dispatcher; whose a sample is, its innermost frame says that belongs to any. */
const parts: [part: string, where: RegExp][] = [
  ['send', /\/src\/delivery\/|\/node_modules\/undici\//],
  [
    'claim',
    /\/src\/dispatch\/(claim|claimer)\.ts|\/pg\/lib\/result\.js|\/pg-types\/|\/pg-protocol\/dist\/(parser|buffer-reader)\.js/,
  ],
  [
    'settle',
    /\/src\/dispatch\/(settle|settler)\.ts|\/pg\/lib\/utils\.js|\/pg-protocol\/dist\/(serializer|buffer-writer)\.js/,
  ],
  ['log', /\/src\/observe\/|\/node_modules\/(pino|sonic-boom|thread-stream|safe-stable-stringify)/],
  ['driver', /\/node_modules\/pg/],
  ['loop', /\/src\/|\/node_modules\//],
]
/** Frames of V8 itself, by their names. */
const ofV8 = new Map([
  ['(garbage collector)', 'garbage collection'],
  ['(idle)', 'idle'],
])
export const runtime = 'sockets, timers, promises'

/** Reads the one profile of a directory. */
export async function readProfile(directory: string): Promise<CpuProfile> {
  const files = (await readdir(directory)).filter((name) => name.endsWith('.cpuprofile'))
  if (files.length !== 1) throw new Error(`${files.length} CPU profiles in ${directory}, and not one`)
  return JSON.parse(await readFile(join(directory, files[0]!), 'utf8')) as CpuProfile
}

/**
 * Microseconds of the main thread by part, within a span. Reading rows counts as the claim's and writing values as the
 * settle's, as the claim reads what the settle does not, and the other way round.
 */
export function timeByPart(profile: CpuProfile, [from, to]: [number, number]): Map<string, number> {
  const partOf = partsOf(profile)
  const times = new Map<string, number>()
  let at = profile.startTime
  profile.samples.forEach((node, n) => {
    const delta = profile.timeDeltas[n]!
    at += delta
    if (at < from || at > to) return
    const part = partOf.get(node)!
    times.set(part, (times.get(part) ?? 0) + delta)
  })
  times.delete('idle')
  return times
}

function partsOf({ nodes }: CpuProfile): Map<number, string> {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const children = new Set(nodes.flatMap((node) => node.children ?? []))
  const result = new Map<number, string>()
  const waiting = nodes
    .filter(({ id }) => !children.has(id))
    .map(({ id }): [id: number, inherited: string] => [id, runtime])
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [id, inherited] = next
    const { callFrame, children } = byId.get(id)!
    const own = ofV8.get(callFrame.functionName) ?? parts.find(([, where]) => where.test(callFrame.url))?.[0]
    const part = own ?? inherited
    result.set(id, part)
    for (const child of children ?? []) waiting.push([child, part])
  }
  return result
}
