import { type BacklogTotal, lookForTrouble } from '../api/endpoint-rows.ts'
import { showEndpoint } from '../api/endpoints.ts'
import type { HealthReport } from '../api/health.ts'
import type { Agent, Delivery, Endpoint, Operation, Page } from '../client/types.ts'
import { duration } from '../words.ts'
import type { Minute } from './activity.ts'
import { AgentTable } from './agents.tsx'
import { LatencyChart, SettledChart } from './chart.tsx'
import { DeliveryTable } from './deliveries.tsx'
import { EndpointTable } from './endpoints.tsx'
import { page } from './layout.tsx'
import { OperationTable } from './operations.tsx'
import { apiOf, type PageContext, type PageServices } from './pages.ts'
import { Region } from './parts.tsx'
import { count, milliseconds, number } from './words.ts'

/** Rows of each list that an overview shows. */
const shown = 8

interface Overview {
  ready: HealthReport
  total: BacklogTotal
  troubled: { total: number; endpoints: Endpoint[] }
  minutes: Minute[]
  stuck: Page<Agent>
  dead: Page<Delivery>
  running: Operation[]
}

export async function overviewPage(c: PageContext, services: PageServices) {
  const seen = await look(c, services)
  return page(
    c,
    { title: titleOf(seen), section: '/', live: '/' },
    <Region name="overview">
      <Headline seen={seen} />
      <Warnings ready={seen.ready} />
      <Tiles seen={seen} />
      <div class="charts">
        <SettledChart minutes={seen.minutes} />
        <LatencyChart minutes={seen.minutes} />
      </div>
      <Lists seen={seen} />
    </Region>,
  )
}

async function look(c: PageContext, services: PageServices): Promise<Overview> {
  const { db, activity, health } = services
  const api = apiOf(c, services)
  const [ready, { total, troubles, troubled }, minutes, stuck, dead, queued, running] = await Promise.all([
    health(),
    lookForTrouble(db, shown),
    activity.lastHour(),
    api.get<Page<Agent>>('/agents', { stuck: 'true', limit: shown }),
    api.get<Page<Delivery>>('/deliveries', { state: 'dead', limit: shown }),
    api.get<Page<Operation>>('/operations', { state: 'queued', limit: shown }),
    api.get<Page<Operation>>('/operations', { state: 'running', limit: shown }),
  ])
  const endpoints = troubled.map(({ row, owed }) => showEndpoint(row, owed) as Endpoint)
  return {
    ...{ ready, total, minutes, stuck, dead },
    troubled: { total: troubles, endpoints },
    running: [...running.items, ...queued.items],
  }
}

function owedOf({ due, waiting, delivering }: BacklogTotal): number {
  return due + waiting + delivering
}

/** What needs somebody, the gravest first. */
function problems({ ready, troubled, stuck }: Overview): string[] {
  const silent = troubled.endpoints.filter(({ status }) => status === 'open' || status === 'probing').length
  const paused = troubled.endpoints.filter(({ status }) => status === 'paused').length
  const more = troubled.total > troubled.endpoints.length ? 'At least ' : ''
  return [
    ...Object.entries(ready.checks).flatMap(([name, { status }]) =>
      status === 'ok'
        ? []
        : [name === 'dispatchers' ? 'Nothing is sent: no dispatcher runs' : `The service warns: ${name}`],
    ),
    ...(silent > 0 ? [`${more}${count(silent, 'endpoint')} ${silent === 1 ? 'does' : 'do'} not answer`] : []),
    ...(stuck.items.length > 0
      ? [
          `${count(stuck.items.length, 'agent')}${stuck.next_cursor === null ? '' : ' or more'} ${stuck.items.length === 1 ? 'is' : 'are'} stuck`,
        ]
      : []),
    ...(paused > 0 ? [`${count(paused, 'endpoint')} ${paused === 1 ? 'is' : 'are'} paused`] : []),
  ]
}

function titleOf(seen: Overview): string {
  const [first] = problems(seen)
  return first ?? 'All is well'
}

function Headline({ seen }: { seen: Overview }) {
  const [first, ...others] = problems(seen)
  const owed = owedOf(seen.total)
  const { oldest_due_seconds: oldest, endpoints } = seen.total
  const age = oldest !== null && oldest >= 1 ? `; the oldest has been due for ${duration(oldest)}` : ''
  return (
    <div class="headline" role="status">
      <h1 class={first === undefined ? 'well' : 'trouble'}>{first ?? 'All is well'}</h1>
      {others.length > 0 && (
        <ul aria-label="And besides">
          {others.map((problem) => (
            <li>{problem}</li>
          ))}
        </ul>
      )}
      <p class="lead">
        {owed === 0
          ? 'Nothing is owed: every event there was is delivered or given up.'
          : `${count(owed, 'event')} ${owed === 1 ? 'is' : 'are'} owed to ${count(endpoints, 'endpoint')}${age}.`}
      </p>
    </div>
  )
}

function Warnings({ ready }: { ready: HealthReport }) {
  return (
    <>
      {Object.entries(ready.checks)
        .filter(([, { status }]) => status !== 'ok')
        .map(([name, { detail }]) => (
          <div class="banner" role="alert" data-key={name}>
            <b>{name}</b>
            <span>{detail ?? 'see the log of the service'}</span>
          </div>
        ))}
    </>
  )
}

function Tiles({ seen: { total, minutes } }: { seen: Overview }) {
  const [last] = minutes.slice(-2)
  const dead = minutes.reduce((sum, one) => sum + one.dead, 0)
  const oldest = total.oldest_due_seconds
  return (
    <dl class="tiles">
      <div>
        <dt>Owed</dt>
        <dd>{number(owedOf(total))}</dd>
        <dd class="more">
          {number(total.due)} due, {number(total.waiting)} waiting, {number(total.delivering)} in flight
        </dd>
      </div>
      <div>
        <dt>Oldest due</dt>
        <dd>{oldest === null ? '–' : duration(oldest)}</dd>
        <dd class="more">{oldest === null ? 'nothing is due' : 'since it could have been sent'}</dd>
      </div>
      <div>
        <dt>Delivered a minute</dt>
        <dd>{number(last?.delivered ?? 0)}</dd>
        <dd class="more">
          {last?.p50 == null ? 'none in the last minute' : `half within ${milliseconds(last.p50)}`}
        </dd>
      </div>
      <div>
        <dt>Dead in the last hour</dt>
        <dd class={dead > 0 ? 'bad' : ''}>{number(dead)}</dd>
        <dd class="more">{number(last?.dead ?? 0)} in the last minute</dd>
      </div>
    </dl>
  )
}

function Lists({ seen }: { seen: Overview }) {
  const { troubled, stuck, dead, running } = seen
  return (
    <>
      <section aria-labelledby="trouble">
        <h2 id="trouble">Endpoints in trouble{troubled.total > 0 && ` (${number(troubled.total)})`}</h2>
        <EndpointTable endpoints={troubled.endpoints} none="Every endpoint that was tried answers." />
        {troubled.total > troubled.endpoints.length && (
          <p>
            <a href="/endpoints?breaker=open">All that do not answer</a> ·{' '}
            <a href="/endpoints?paused=true">All that are paused</a>
          </p>
        )}
      </section>
      {running.length > 0 && (
        <section aria-labelledby="running">
          <h2 id="running">Under way</h2>
          <OperationTable operations={running} />
        </section>
      )}
      <section aria-labelledby="stuck">
        <h2 id="stuck">Stuck agents</h2>
        <AgentTable agents={stuck.items} none="No agent is stuck." />
        {stuck.next_cursor !== null && (
          <p>
            <a href="/agents">All stuck agents</a>
          </p>
        )}
      </section>
      <section aria-labelledby="dead">
        <h2 id="dead">Latest dead events</h2>
        <DeliveryTable deliveries={dead.items} none="No event is dead." />
        {dead.next_cursor !== null && (
          <p>
            <a href="/deliveries?state=dead">All dead events</a>
          </p>
        )}
      </section>
    </>
  )
}
