import { sql } from 'kysely'
import { type BacklogTotal, lookForTrouble } from '../api/endpoint-rows.ts'
import { showEndpoint } from '../api/endpoints.ts'
import { time } from '../api/answer.ts'
import type { HealthReport } from '../api/health.ts'
import type { Agent, Endpoint, Operation, Page } from '../client/types.ts'
import { type EndpointBrief, endpointsById, projectsWaitingFor } from './about-endpoints.ts'
import { type Seen, windowOf } from './activity.ts'
import { AgentTable, tasksOf } from './agents.tsx'
import { LatencyChart, SettledChart, Windows } from './chart.tsx'
import { DeathTable, type Deaths, deathsOfLastDay, looked } from './dead.tsx'
import { noEvents } from './deliveries.tsx'
import { EndpointTable } from './endpoints.tsx'
import { here, page } from './layout.tsx'
import { endpointsOf, OperationTable } from './operations.tsx'
import { calm, owedOf, problems } from './overview-words.ts'
import { apiOf, type PageContext, type PageServices } from './pages.ts'
import { Empty, Region, Time } from './parts.tsx'
import { clock, count, milliseconds, number, span } from './words.ts'

/** Rows of each list that an overview shows. */
const shown = 8

export interface Overview {
  ready: HealthReport
  total: BacklogTotal
  troubled: { total: number; endpoints: Endpoint[]; waiting: Map<string, string[]> }
  /** The last hour. */
  hour: Seen
  /** What the charts show. */
  seen: Seen
  stuck: Page<Agent> & { held: Map<string, string[]> }
  dead: { deaths: Deaths[]; total: number }
  running: { operations: Operation[]; endpoints: Map<string, EndpointBrief> }
  /** Whether anything was ever sent, and when something was delivered last. */
  begun: boolean
  lastSuccess: string | null
}

export async function overviewPage(c: PageContext, services: PageServices) {
  const overview = await look(c, services)
  const first = problems(overview)[0]
  return page(
    c,
    { title: first ?? calm(overview), section: '/', live: here(c) },
    <Region name="overview">
      <Headline overview={overview} />
      <Warnings ready={overview.ready} />
      {!overview.begun && <p class="answer">{noEvents}</p>}
      <Tiles overview={overview} />
      <Troubled overview={overview} />
      {overview.begun && (
        <section aria-labelledby="activity">
          <h2 id="activity">Activity</h2>
          <Windows path="/" chosen={overview.seen.window} />
          <div class="charts">
            <SettledChart seen={overview.seen} />
            <LatencyChart seen={overview.seen} />
          </div>
        </section>
      )}
      <Lists overview={overview} />
    </Region>,
  )
}

async function look(c: PageContext, services: PageServices): Promise<Overview> {
  const { db, activity, health } = services
  const api = apiOf(c, services)
  const window = windowOf(c.req.query('window'))
  const [ready, { total, troubles, troubled }, hour, agents, dead, queued, running, last] = await Promise.all(
    [
      health(),
      lookForTrouble(db, shown),
      activity.look('1h'),
      api.get<Page<Agent>>('/agents', { stuck: 'true', limit: shown }),
      deathsOfLastDay(db),
      api.get<Page<Operation>>('/operations', { state: 'queued', limit: shown }),
      api.get<Page<Operation>>('/operations', { state: 'running', limit: shown }),
      lastSuccess(services),
    ],
  )
  const endpoints = troubled.map(({ row, owed }) => showEndpoint(row, owed) as Endpoint)
  const operations = [...running.items, ...queued.items]
  const [seen, waiting, held, named] = await Promise.all([
    window === '1h' ? hour : activity.look(window),
    projectsWaitingFor(
      db,
      endpoints.map(({ id }) => id),
    ),
    tasksOf(db, agents.items),
    endpointsById(db, endpointsOf(operations)),
  ])
  return {
    ...{ ready, total, hour, seen, dead },
    troubled: { total: troubles, endpoints, waiting },
    stuck: { ...agents, held },
    running: { operations, endpoints: named },
    begun: last.endpoints > 0 || total.endpoints > 0 || dead.total > 0,
    lastSuccess: time(last.at),
  }
}

async function lastSuccess({ db }: PageServices): Promise<{ endpoints: number; at: Date | null }> {
  const { rows } = await sql<{ endpoints: number; at: Date | null }>`
    select count(*)::integer as endpoints, max(last_success_at) filter (where isfinite(last_success_at)) as at
    from webhook_endpoints`.execute(db)
  return rows[0]!
}

function Headline({ overview }: { overview: Overview }) {
  const [first, ...others] = problems(overview)
  const { total, lastSuccess } = overview
  const owed = owedOf(total)
  const { oldest_due_seconds: oldest, endpoints } = total
  const age = oldest !== null && oldest >= 1 ? `; the oldest has been due for ${span(oldest)}` : ''
  return (
    <div class="headline">
      <div role="status">
        <h1 class={first === undefined ? 'well' : 'trouble'}>{first ?? calm(overview)}</h1>
        {others.length > 0 && (
          <ul aria-label="And besides">
            {others.map((problem) => (
              <li>{problem}</li>
            ))}
          </ul>
        )}
      </div>
      <p class="lead">
        {owed === 0
          ? 'Nothing is owed.'
          : `${count(owed, 'event')} ${owed === 1 ? 'is' : 'are'} owed to ${count(endpoints, 'endpoint')}${age}.`}
        {lastSuccess !== null && (
          <>
            {' '}
            The last delivery was at <Time at={lastSuccess} />.
          </>
        )}
      </p>
    </div>
  )
}

/** In words of this page where the headline has said it already. */
const nextFor: Record<string, string> = {
  dispatchers:
    'start the service with ROLE=all or ROLE=dispatcher on this database. What is owed then goes out by itself',
}

function Warnings({ ready }: { ready: HealthReport }) {
  return (
    <>
      {Object.entries(ready.checks)
        .filter(([, { status }]) => status !== 'ok')
        .map(([name, { detail }]) => (
          <p class="banner" role="alert" data-key={name}>
            <b>{nextFor[name] === undefined ? name : 'Next'}:</b>{' '}
            {nextFor[name] ?? detail ?? 'see the log of the service'}.
          </p>
        ))}
    </>
  )
}

function Tiles({ overview: { total, hour } }: { overview: Overview }) {
  const [last] = hour.slots.slice(-2)
  const dead = hour.slots.reduce((sum, one) => sum + one.dead, 0)
  const oldest = total.oldest_due_seconds
  return (
    <dl class="tiles">
      <div>
        <dt>Owed</dt>
        <dd>
          <a href="/deliveries?state=pending">{number(owedOf(total))}</a>
        </dd>
        <dd class="more">
          {number(total.due)} due, {number(total.waiting)} for later, {number(total.delivering)} being sent
        </dd>
      </div>
      <div>
        <dt>Oldest due</dt>
        <dd>{oldest === null ? '–' : span(oldest)}</dd>
        <dd class="more">
          {oldest === null
            ? 'nothing is due'
            : `late: due since ${clock(new Date(Date.now() - oldest * 1_000).toISOString())}`}
        </dd>
      </div>
      <div>
        <dt>Delivered in the last full minute</dt>
        <dd>{number(last?.delivered ?? 0)}</dd>
        <dd class="more">{last?.p50 == null ? 'none' : `half within ${milliseconds(last.p50)}`}</dd>
      </div>
      <div>
        <dt>Dead in the last hour</dt>
        <dd class={dead > 0 ? 'bad' : ''}>
          <a href="/deliveries?state=dead">{number(dead)}</a>
        </dd>
        <dd class="more">{number(last?.dead ?? 0)} in the last full minute</dd>
      </div>
    </dl>
  )
}

function Troubled({ overview: { troubled } }: { overview: Overview }) {
  if (troubled.total === 0) return <></>
  return (
    <section aria-labelledby="trouble">
      <h2 id="trouble">Endpoints in trouble ({number(troubled.total)})</h2>
      <EndpointTable endpoints={troubled.endpoints} waiting={troubled.waiting} none="" />
      {troubled.total > troubled.endpoints.length && (
        <p class="more">
          <a href="/endpoints?breaker=open">All that do not answer</a>{' '}
          <a href="/endpoints?paused=true">All that are paused</a>
        </p>
      )}
    </section>
  )
}

function Lists({ overview: { stuck, dead, running } }: { overview: Overview }) {
  return (
    <>
      {running.operations.length > 0 && (
        <section aria-labelledby="running">
          <h2 id="running">Under way</h2>
          <OperationTable operations={running.operations} endpoints={running.endpoints} />
        </section>
      )}
      <section aria-labelledby="stuck">
        <h2 id="stuck">Stuck agents</h2>
        {stuck.items.length === 0 ? (
          <Empty>No agent is stuck.</Empty>
        ) : (
          <AgentTable agents={stuck.items} held={stuck.held} />
        )}
        {stuck.next_cursor !== null && (
          <p class="more">
            <a href="/agents">All stuck agents</a>
          </p>
        )}
      </section>
      <section aria-labelledby="dead">
        <h2 id="dead">Dead in the last 24 hours, by what they died of</h2>
        {dead.total === 0 ? <Empty>None.</Empty> : <DeathTable deaths={dead.deaths} />}
        {dead.total === looked && <p class="empty">Of the newest {number(looked)}.</p>}
        <p class="more">
          <a href="/deliveries?state=dead">All dead events</a>
        </p>
      </section>
    </>
  )
}
