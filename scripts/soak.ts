/**
 * npm run soak -- --minutes N --seed S: random faults at random moments under steady load, then the ledger. See
 * tests/faults/support/soak.ts for what is done. Exits 0 only where the ledger has no difference.
 */
import { parseArgs } from 'node:util'
import { startFaultServer } from '../tests/faults/support/postgres.ts'
import { seedOfRun } from '../tests/faults/support/random.ts'
import { soak } from '../tests/faults/support/soak.ts'
import { removeAbandoned } from '../tests/support/server.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(seedOfRun()) },
  },
})
const [minutes, seed] = [Number(values.minutes), Number(values.seed)]
if (!(minutes > 0) || !Number.isInteger(seed)) throw new Error('usage: npm run soak -- --minutes N --seed S')

const start = performance.now()
const say = (line: string) =>
  console.log(`${((performance.now() - start) / 1000).toFixed(1).padStart(7)} s  ${line}`)
const ends: (() => Promise<void>)[] = []

async function end(): Promise<void> {
  for (let next = ends.pop(); next; next = ends.pop()) {
    await next().catch((error: unknown) => console.error(error))
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void end().then(() => process.exit(1)))
}

await removeAbandoned()
say(`${minutes} minutes with the seed ${seed}`)
const server = await startFaultServer()
ends.push(() => server.close())
try {
  const owner = { diagnostic: say, after: (run: () => Promise<void>) => void ends.push(run) }
  const { faults, ...ledger } = await soak(owner, server, { minutes, seed, say })
  console.table(faults)
  console.table(ledger)
  console.log('0 lost, 0 false, and duplicates only where a lease was lost: the ledger has no difference')
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  await end()
}
