import { lookup } from 'node:dns/promises'

/** Finds every address of a name; rejects with the error of `dns.lookup` where there is none. */
export type Resolve = (hostname: string) => Promise<{ address: string; family: number }[]>

/**
 * - `lookUp`: looks up one name; `dns.lookup` if not given
 * - `threads`: how many it can look up at once
 * - `hangsAfterMs`: a name that takes longer is taken for one that hangs, until it does not
 */
export interface ResolveOptions {
  lookUp?: Resolve
  threads?: number
  hangsAfterMs?: number
}

const LIBUV_THREADS = 4
// Resolvers wait 5 s for a server that is silent; one that is only slow is none of these.
const HANGS_AFTER_MS = 3_000
const MAX_REMEMBERED = 1_000

const system: Resolve = (hostname) => lookup(hostname, { all: true, order: 'verbatim' })

/**
 * Looks names up as this machine does (its hosts file, its search domains), which holds one of libuv's few threads until
 * it ends and cannot be cancelled: names whose servers are silent would stop the look-ups of every other receiver, and
 * of Postgres. So those who ask for one name at the same time get one look-up, one thread is left to other work, and
 * names that hung the last time have one thread between them.
 */
export function createResolve({
  lookUp = system,
  threads = Number(process.env['UV_THREADPOOL_SIZE']) || LIBUV_THREADS,
  hangsAfterMs = HANGS_AFTER_MS,
}: ResolveOptions = {}): Resolve {
  const asking = new Map<string, ReturnType<Resolve>>()
  const hanging = new Set<string>()
  const all = createLane(Math.max(threads - 1, 1))
  const doubtful = createLane(1)

  async function ask(hostname: string) {
    const isDoubtful = hanging.has(hostname)
    if (isDoubtful) await doubtful.enter()
    await all.enter()
    const began = performance.now()
    try {
      return await lookUp(hostname)
    } finally {
      all.leave()
      if (isDoubtful) doubtful.leave()
      asking.delete(hostname)
      hanging.delete(hostname)
      if (performance.now() - began > hangsAfterMs) {
        hanging.add(hostname)
        if (hanging.size > MAX_REMEMBERED) hanging.delete(hanging.values().next().value!)
      }
    }
  }

  return (hostname) => {
    const known = asking.get(hostname)
    if (known) return known
    const answer = ask(hostname)
    asking.set(hostname, answer)
    return answer
  }
}

/** Lets in so many at once, the others in order. */
function createLane(width: number) {
  const waiting: (() => void)[] = []
  let inside = 0
  return {
    enter(): Promise<void> | undefined {
      if (inside >= width) return new Promise((resolve) => waiting.push(resolve))
      inside += 1
      return undefined
    },
    leave(): void {
      const next = waiting.shift()
      if (next) next()
      else inside -= 1
    },
  }
}
