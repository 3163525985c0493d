/**
 * Loaded into a dispatcher before its own files, which know nothing of it: says how long its claims took, from the query
 * to the rows, and how much memory it holds. Needs --expose-gc.
 */
import pg from 'pg'

/**
 * - `claims`: milliseconds of each claim that took something since the last time
 * - `resident`: bytes of memory, as it runs
 * - `held`: the same once V8 has given back what is free
 */
export type ProbeMessage = 'claims' | 'resident' | 'held'

let claims: number[] = []

type Query = (this: pg.Client, ...args: unknown[]) => unknown
const query = Reflect.get(pg.Client.prototype, 'query') as unknown as Query

const timed: Query = function (...args) {
  const done = args.at(-1)
  const isClaim = typeof args[0] === 'string' && args[0].includes('webhook_claim(')
  if (!isClaim || typeof done !== 'function') return query.apply(this, args)
  const beganAt = performance.now()
  args[args.length - 1] = (error: unknown, result?: pg.QueryResult) => {
    // The last row of a claim is its summary.
    if (result !== undefined && result.rows.length > 1) claims.push(performance.now() - beganAt)
    return (done as (error: unknown, result: unknown) => unknown)(error, result)
  }
  return query.apply(this, args)
}
pg.Client.prototype.query = timed as unknown as typeof pg.Client.prototype.query

process.on('message', (message: ProbeMessage) => {
  if (message === 'claims') {
    process.send?.(claims)
    claims = []
  } else {
    // Any other collection leaves the young generation as large as a burst has made it, and V8 keeps the pages that are
    // free: some 250 MiB that the next burst takes again, and the system never gets back.
    if (message === 'held') globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
    process.send?.(process.memoryUsage.rss())
  }
})
