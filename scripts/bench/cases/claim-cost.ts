import type pg from 'pg'
import { Claimer } from '../../../src/dispatch/claimer.ts'
import { InFlight } from '../../../src/dispatch/in-flight.ts'
import { type Backlog, owe } from '../backlog.ts'
import type { Case, CaseContext } from '../case.ts'
import { type Goal, medianRow } from '../report.ts'
import { connect } from '../stage.ts'
import { tidy } from '../tasks.ts'

const LIMIT = 256
const nothingHeld = new InFlight().spread()
/** Ten endpoints fill a claim only where each may have a tenth of it. */
const PER_ENDPOINT = 32
const flat: Goal = { atMost: 1.5 }
/** A ring of 10,000 endpoints is gone round in about as many. */
const CLAIMS = 40

interface Scene {
  db: pg.Client
  claimer: Claimer
  /** Microseconds a row, one a round. */
  costs: number[]
}

/** No dispatcher runs. Each claim is rolled back, so that all meet the same; the cost is that of many claims by all of their rows. */
export const claimCost: Case = {
  name: 'claim-cost',
  summary: 'microseconds a row of the claim, by endpoints and by rows that wait',
  async run(context) {
    const { rounds, quick } = context.options
    const shrink = quick ? 100 : 1
    const [few, many] = [urlsOf('few', 10), urlsOf('many', 10_000 / shrink)]
    const [due, later] = [100_000 / shrink, 1_000_000 / shrink]
    const waits = (urls: string[]): Backlog => ({
      group: 'waits',
      urls,
      each: later / urls.length,
      inHours: 1,
    })
    const dueTo = (urls: string[], total = due): Backlog => ({
      group: 'due',
      urls,
      each: total / urls.length,
    })

    const scenes: Record<string, Scene> = {}
    const add = async (name: string, backlogs: Backlog[], copyOf?: string) => {
      context.say(`prepares: ${name}`)
      scenes[name] = await prepare(context, name, backlogs, copyOf)
    }
    await add('few', [dueTo(few)])
    await add('many', [dueTo(many)])
    await add('sparse', [dueTo(many, many.length)])
    const waiting = await prepare(context, 'waiting', [dueTo(few), waits(many)])
    await waiting.db.end()
    await add('few-apart', [], 'waiting')
    await add('many-behind', [dueTo(many)], 'waiting')
    await add('few-behind', [dueTo(few), waits(few)])
    for (let round = 0; round <= rounds; round++) {
      for (const [name, scene] of Object.entries(scenes)) {
        const cost = await measure(scene)
        if (round > 0) scene.costs.push(cost)
        context.say(`round ${round}: ${name} ${cost.toFixed(1)} µs a row`)
      }
    }
    await Promise.all(Object.values(scenes).map(({ db }) => db.end()))

    const cost = (name: string, what: string) =>
      medianRow(`a row of a claim, ${what}`, scenes[name]!.costs, 'µs')
    const ratio = (name: string, to: string, what: string, goal?: Goal) =>
      medianRow(
        what,
        scenes[name]!.costs.map((value, i) => value / scenes[to]!.costs[i]!),
        '',
        goal,
      )
    return [
      cost('few', `${due} due at 10 endpoints`),
      cost('many', `${due} due at ${many.length} endpoints`),
      ratio('many', 'few', `${many.length} endpoints / 10`, flat),
      ratio('sparse', 'few', `${many.length} endpoints with one row each / 10 endpoints`),
      ratio('few-behind', 'few', `with ${later} more that wait at the same 10 endpoints / without`, flat),
      ratio('many-behind', 'many', `with ${later} more that wait at the same ${many.length} / without`, flat),
      ratio(
        'few-apart',
        'few',
        `10 endpoints, with ${later} that wait at ${many.length} others / without`,
        flat,
      ),
    ]
  },
}

const urlsOf = (name: string, count: number) => Array.from({ length: count }, (_, n) => `http://${name}/${n}`)

async function prepare(
  { stage }: CaseContext,
  name: string,
  backlogs: Backlog[],
  copyOf?: string,
): Promise<Scene> {
  const db = await connect(await stage.createDatabase(`claim_${name}`, copyOf && `claim_${copyOf}`))
  for (const backlog of backlogs) {
    await owe(db, backlog)
    await db.query(
      `insert into webhook_endpoints (id, url, slow, slots)
       select md5(url)::uuid, url, false, $2::integer from unnest($1::text[]) u (url) on conflict do nothing`,
      [backlog.urls, PER_ENDPOINT],
    )
  }
  await tidy(db)
  const claimer = new Claimer({
    db: db as unknown as pg.PoolClient,
    leaseMs: 30_000,
    maxInFlight: LIMIT,
    perEndpoint: PER_ENDPOINT,
  })
  return { db, claimer, costs: [] }
}

async function measure(scene: Scene): Promise<number> {
  let [elapsed, rows] = [0, 0]
  for (let n = 0; n < CLAIMS; n++) {
    await scene.db.query('begin')
    const beganAt = performance.now()
    const claimed = await scene.claimer.claim(LIMIT, nothingHeld)
    elapsed += performance.now() - beganAt
    await scene.db.query('rollback')
    rows += claimed.length
  }
  if (rows === 0) throw new Error('wrong result: nothing was claimed of what is due')
  return (elapsed * 1_000) / rows
}
