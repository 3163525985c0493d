import { setTimeout as sleep } from 'node:timers/promises'
import type { ServiceProcess } from './dispatcher.ts'
import type { LedgerFigures } from './ledger.ts'
import { anyChange, startLoad } from './load.ts'
import type { FaultServer } from './postgres.ts'
import type { Proxy } from './proxy.ts'
import { type Api, createWorld, MAX_IN_FLIGHT, type Owner, type World } from './world.ts'

/**
 * Random faults at random moments under steady load: three producers (SQL, bulk SQL, API), two dispatchers of which one is
 * behind a proxy, and receivers that are healthy, slow and flaky. Each fault is healed before the next one; the ledger is at
 * the end. The seed decides which faults come in which order.
 */
export interface SoakOptions {
  minutes: number
  seed: number
  /** Told what happens, a line each. */
  say: (line: string) => void
}

export interface SoakFigures extends LedgerFigures {
  faults: Record<string, number>
}

const LEASE_MS = 8_000
const env = { DELIVERY_TIMEOUT: '5s', LEASE: `${LEASE_MS}ms` }
const SETTLED_WITHIN_MS = 90_000

export async function soak(owner: Owner, server: FaultServer, options: SoakOptions): Promise<SoakFigures> {
  const world = await createWorld(owner, server, options.seed)
  const { random } = world
  const healthy = await world.receiver()
  const slow = await world.receiver(() => ({ status: 200, delayMs: random.between(200, 1_500) }))
  const flaky = await world.receiver(() =>
    random.next() < 0.05 ? random.pick(['hang', 'reset']) : { status: random.pick([200, 200, 503, 500]) },
  )
  const stage = await setStage(world)
  const sql = world.producer(healthy, slow, flaky)
  const bulk = world.producer(healthy, flaky)
  const api = world.apiProducer(() => stage.api, healthy, slow)
  const loads = [
    startLoad([anyChange(sql, random)], { random, everyMs: 100 }),
    startLoad([() => bulk.commitInBulk(random.between(20, 60))], { random, everyMs: 2_000 }),
    startLoad([() => api.commit()], { random, everyMs: 100 }),
  ]

  const faults: Record<string, number> = {}
  const end = performance.now() + options.minutes * 60_000
  while (performance.now() < end) {
    await sleep(random.between(200, 4_000))
    const [name, act] = chooseFault(stage)
    options.say(`${name}`)
    await act()
    faults[name] = (faults[name] ?? 0) + 1
  }
  await Promise.all(loads.map((load) => load.stop()))
  await stage.api.terminate()
  const figures = await world.ledger({ withinMs: SETTLED_WITHIN_MS })
  return { ...figures, faults }
}

interface Stage {
  world: World
  api: Api
  dispatchers: [ServiceProcess, ServiceProcess]
  proxy: Proxy
  start(which: 0 | 1): Promise<ServiceProcess>
}

async function setStage(world: World): Promise<Stage> {
  const proxy = await world.proxy()
  const start = (which: 0 | 1) =>
    world.dispatcher(which === 0 ? { env } : { env, listenThrough: proxy, databaseThrough: proxy })
  return { world, proxy, start, api: await world.api(), dispatchers: [await start(0), await start(1)] }
}

/** How often, a name, and what is done. */
type Fault = [weight: number, name: string, act: (stage: Stage) => Promise<void>]

const faults: Fault[] = [
  [
    50,
    'kill -9 of a dispatcher',
    async (stage) => {
      const which = stage.world.random.pick([0, 1] as const)
      await stage.world.kill(stage.dispatchers[which])
      stage.dispatchers[which] = await stage.start(which)
    },
  ],
  [
    8,
    'SIGTERM to a dispatcher',
    async (stage) => {
      const which = stage.world.random.pick([0, 1] as const)
      await stage.dispatchers[which].terminate()
      stage.dispatchers[which] = await stage.start(which)
    },
  ],
  [
    6,
    'a dispatcher stands still past its lease',
    async ({ world, dispatchers }) => {
      const frozen = world.random.pick(dispatchers)
      frozen.freeze()
      world.mayLoseLeases(MAX_IN_FLIGHT)
      await sleep(LEASE_MS + 1_500)
      frozen.thaw()
    },
  ],
  [
    10,
    'immediate stop of Postgres',
    async ({ world }) => {
      // What was claimed as it went down, and what was answered and could not be recorded before its lease was over.
      world.mayLoseLeases(2 * 2 * MAX_IN_FLIGHT)
      await world.server.stopImmediately()
      await sleep(world.random.pick([0, 500, 3_000, LEASE_MS + 2_000]))
      await world.server.start()
    },
  ],
  [
    10,
    'all backends terminated',
    async ({ world }) => {
      world.mayLoseLeases(2 * MAX_IN_FLIGHT)
      await world.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()`,
      )
    },
  ],
  [
    6,
    'the network of one dispatcher is slow, then cut',
    async ({ world, proxy }) => {
      world.mayLoseLeases(MAX_IN_FLIGHT)
      proxy.delay(world.random.between(20, 200))
      await sleep(2_000)
      proxy.cut()
      proxy.delay(0)
    },
  ],
  [
    4,
    'the connections of one dispatcher are half-open',
    async ({ world, proxy }) => {
      world.mayLoseLeases(2 * MAX_IN_FLIGHT)
      proxy.swallow()
      await sleep(2_000)
    },
  ],
  [
    6,
    'kill -9 of the API',
    async (stage) => {
      await stage.api.kill()
      stage.api = await stage.world.api()
    },
  ],
]

function chooseFault(stage: Stage): [name: string, act: () => Promise<void>] {
  let left = stage.world.random.next() * faults.reduce((sum, [weight]) => sum + weight, 0)
  const chosen = faults.find(([weight]) => (left -= weight) < 0) ?? faults[0]!
  return [chosen[1], () => chosen[2](stage)]
}
