import type { Client } from '../../client/client.ts'
import type { Agent, Endpoint, HealthReport } from '../../client/types.ts'
import { command } from '../command.ts'
import { connect, connectionOptions } from '../connection.ts'
import { nextForEndpoint } from '../next-steps.ts'
import type { Output } from '../output.ts'
import { readPages } from '../pages.ts'
import { count, duration, moment } from '../../words.ts'
import { program } from '../program.ts'

const most = 1_000
const dayMs = 86_400_000

export const status = command({
  about: `Shows whether the service can work, whether anybody dispatches, what is owed and to whom, which endpoints are in
trouble, whether events died within a day, and which agents are stuck. For each trouble it says what to do next.

It exits with 1 where the service is not ready or warns, or an endpoint that is owed something is failing, open or paused.
Dead events and stuck agents are news, and no trouble of the service.`,
  options: connectionOptions,
  examples: ['status', 'status --url https://hooks.example.com --json'],
  async run({ values, out }) {
    const { client, url } = connect(values)
    const seen = await look(client)
    if (values.json) out.json({ url, ...seen })
    else print(out, url, seen)
    return isWell(seen) ? 0 : 1
  },
})

interface Seen {
  ready: HealthReport
  /** Those that are owed something, and those in trouble; the longest waiting first. */
  endpoints: Endpoint[]
  stuck_agents: Agent[]
  /** Of those that were written within a day; `more` than are counted. */
  dead: { count: number; more: boolean }
  /** There are more than were read. */
  truncated: boolean
}

async function look(client: Client): Promise<Seen> {
  const ready = await client.getReadiness()
  // Without its database the lists are refused, and why stands in `ready`.
  if (ready.status !== 'ok')
    return { ready, endpoints: [], stuck_agents: [], dead: { count: 0, more: false }, truncated: false }
  const from = new Date(Date.now() - dayMs).toISOString()
  const [endpoints, agents, dead] = await Promise.all([
    readPages((cursor) => client.listEndpoints({ limit: 100, cursor }), most),
    readPages((cursor) => client.listAgents({ stuck: 'true', limit: 100, cursor }), most),
    client.listDeliveries({ state: 'dead', from, limit: 100 }),
  ])
  return {
    ready,
    endpoints: endpoints.items
      .filter((endpoint) => endpoint.owed > 0 || inTrouble(endpoint))
      .sort((a, b) => (b.oldest_due_seconds ?? 0) - (a.oldest_due_seconds ?? 0) || b.owed - a.owed),
    stuck_agents: agents.items,
    dead: { count: dead.items.length, more: dead.next_cursor !== null },
    truncated: endpoints.truncated || agents.truncated,
  }
}

function inTrouble({ status }: Endpoint): boolean {
  return status !== 'healthy' && status !== 'new'
}

function isWell({ ready, endpoints }: Seen): boolean {
  const calm = Object.values(ready.checks).every((check) => check.status === 'ok')
  return ready.status === 'ok' && calm && !endpoints.some((one) => inTrouble(one) && one.owed > 0)
}

function print(out: Output, url: string, seen: Seen): void {
  const { ready, endpoints, stuck_agents } = seen
  out.styled('bold', `webhook-outbox at ${url} is ${ready.status === 'ok' ? 'ready' : 'NOT READY'}`)
  out.fields(
    Object.entries(ready.checks).map(([name, { status, detail }]) => [
      name,
      detail === undefined ? status : `${status}: ${detail}`,
    ]),
  )
  if (ready.status !== 'ok') {
    const next =
      ready.checks['installation']?.status === 'failing'
        ? `${program} confirm-installation --help`
        : `${program} doctor, with the DATABASE_URL of the service`
    out.text(`\nNext: ${next}`)
    return
  }
  printOwed(out, endpoints)
  printTrouble(out, endpoints.filter(inTrouble))
  printDead(out, seen.dead)
  printStuck(out, stuck_agents)
  if (seen.truncated) out.text(`\nOnly the newest ${most} endpoints and stuck agents were looked at.`)
}

function printOwed(out: Output, endpoints: Endpoint[]): void {
  const owing = endpoints.filter(({ owed }) => owed > 0)
  const total = owing.reduce((sum, { owed }) => sum + owed, 0)
  const oldest = Math.max(...owing.map((one) => one.oldest_due_seconds ?? 0))
  if (total === 0) return out.text('\nNothing is owed.')
  const age = oldest > 0 ? `; the oldest has been due for ${duration(oldest)}` : ''
  out.heading(`Owed: ${count(total, 'event')} to ${count(owing.length, 'endpoint')}${age}`)
  out.table(
    ['endpoint', 'url', 'status', 'owed', 'due', 'waiting', 'in flight', 'oldest due'],
    owing.map((one) => [
      one.id,
      one.url,
      one.status,
      ...[one.owed, one.due, one.waiting, one.in_flight],
      one.oldest_due_seconds === null ? '-' : duration(one.oldest_due_seconds),
    ]),
  )
}

function printTrouble(out: Output, endpoints: Endpoint[]): void {
  if (endpoints.length === 0) return
  out.heading('Endpoints in trouble')
  for (const one of endpoints) {
    const { url, status, since, detail } = one
    out.styled('yellow', `${url} is ${status}${since === null ? '' : `, since ${moment(since)!}`}`)
    out.fields(
      [
        ['why', detail],
        ['next', nextForEndpoint(one)],
      ],
      '  ',
    )
  }
}

function printDead(out: Output, { count: n, more }: Seen['dead']): void {
  if (n === 0) return
  out.heading(`Dead, of what was written within a day: ${more ? `more than ${n} events` : count(n, 'event')}`)
  out.fields(
    [
      ['see why', `${program} deliveries --state dead --from 24h`],
      ['once that is mended', `${program} replay --state dead --from 24h`],
    ],
    '  ',
  )
}

function printStuck(out: Output, agents: Agent[]): void {
  if (agents.length === 0) return
  out.heading(`Stuck agents: ${agents.length}`)
  out.table(
    ['agent', 'type', 'reason', 'since', 'last heartbeat'],
    agents.map(({ id, agent_type, stuck, last_heartbeat }) => [
      id,
      agent_type,
      stuck?.reason,
      moment(stuck?.started_at),
      moment(last_heartbeat),
    ]),
  )
}
