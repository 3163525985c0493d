import type { Delivery, Endpoint, EndpointTest, Page } from '../client/types.ts'
import { duration } from '../words.ts'
import { lastHourOf } from './activity.ts'
import { SettledChart } from './chart.tsx'
import { DeliveryTable } from './deliveries.tsx'
import { page } from './layout.tsx'
import { apiOf, type PageContext, type PageServices } from './pages.ts'
import { Empty, EndpointState, endpointPath, Facts, pathWith, Region, Theirs, Time, Words } from './parts.tsx'
import { endpointStates, milliseconds, nextForEndpoint, number } from './words.ts'

/** How far back an endpoint's own deliveries are looked for: history has no index by endpoint. */
const recentMs = 3_600_000
/** Much less is dead than delivered, and the dead lie apart. */
const deadMs = 24 * recentMs

/** @param test what a test that was just sent came to */
export async function endpointPage(c: PageContext, services: PageServices, id: string, test?: EndpointTest) {
  const api = apiOf(c, services)
  const one = await api.get<Endpoint>(endpointPath(id))
  const since = (ms: number) => new Date(Date.now() - ms).toISOString()
  const mine = { endpoint_id: one.id, limit: 8 }
  const [minutes, dead, recent] = await Promise.all([
    lastHourOf(services.db, one.id),
    api.get<Page<Delivery>>('/deliveries', { ...mine, state: 'dead', from: since(deadMs) }),
    api.get<Page<Delivery>>('/deliveries', { ...mine, from: since(recentMs) }),
  ])
  return page(
    c,
    { title: `${endpointStates[one.status]}: ${one.url}`, section: '/endpoints', live: endpointPath(one.id) },
    <>
      <Region name="head">
        <h1>
          <Theirs text={one.url} /> <EndpointState status={one.status} />
        </h1>
        <Health one={one} />
      </Region>
      {c.get('visitor').mayWrite && <Actions one={one} />}
      {test !== undefined && <TestResult test={test} />}
      <Region name="endpoint">
        <div class="charts">
          <SettledChart minutes={minutes} />
          <Facts facts={healthFacts(one)} />
        </div>
        <section aria-labelledby="dead">
          <h2 id="dead">Dead in the last day</h2>
          <DeliveryTable deliveries={dead.items} none="None." to={false} />
          {dead.next_cursor !== null && (
            <p>
              <a href={pathWith('/deliveries', { state: 'dead', endpoint_id: one.id })}>
                All its dead events
              </a>
            </p>
          )}
        </section>
        <section aria-labelledby="recent">
          <h2 id="recent">Deliveries of the last hour</h2>
          <DeliveryTable deliveries={recent.items} none="There was none." to={false} />
          <p>
            <a href={pathWith('/deliveries', { endpoint_id: one.id })}>All its deliveries</a>
          </p>
        </section>
        <section aria-labelledby="settings">
          <h2 id="settings">Settings</h2>
          <Facts facts={settings(one)} />
        </section>
      </Region>
    </>,
  )
}

function Health({ one }: { one: Endpoint }) {
  const grave = one.status === 'open' || one.status === 'probing'
  const next = nextForEndpoint(one)
  return (
    <div class={grave ? 'answer bad' : 'answer'} role="status">
      <p>
        <Words text={one.detail} />.
      </p>
      {one.since !== null && (
        <p>
          It began <Time at={one.since} />.
        </p>
      )}
      {next !== undefined && (
        <p>
          <b>Next:</b> {next}.
        </p>
      )}
    </div>
  )
}

function Actions({ one }: { one: Endpoint }) {
  const path = endpointPath(one.id)
  const flows = one.status === 'healthy' || one.status === 'new'
  return (
    <div class="actions">
      <form method="post" action={`${path}/test`}>
        <button class={flows ? '' : 'primary'}>Send a test</button>
      </form>
      <form method="post" action={`${path}/resume`} data-region="resume">
        {!flows && <button>{one.paused_at === null ? 'Resume: probe at once' : 'Resume'}</button>}
      </form>
      <details id="pause">
        <summary>Pause…</summary>
        <form method="post" action={`${path}/pause`}>
          <label>
            Reason
            <input name="reason" maxlength={1_000} autocomplete="off" />
          </label>
          <button class="danger">Pause it: what is owed waits</button>
        </form>
      </details>
    </div>
  )
}

function TestResult({ test }: { test: EndpointTest }) {
  return (
    <section class={test.delivered ? 'answer' : 'answer bad'} role="status" aria-labelledby="test">
      <h2 id="test">{test.delivered ? 'The test was delivered' : 'The test was not delivered'}</h2>
      <p>
        {test.status !== null && <b>{test.status} </b>}
        {test.error !== null && <Theirs text={test.error} />} It took {milliseconds(test.duration_ms)}.
      </p>
      <h3>Request</h3>
      <pre tabindex={0}>{`POST ${test.url}\nwebhook-id: ${test.event_id}\nwebhook-attempt: 1`}</pre>
      <h3>Response</h3>
      {test.response === null || test.response === '' ? (
        <Empty>{test.status === null ? 'There was none.' : 'It had no body.'}</Empty>
      ) : (
        <pre tabindex={0}>{test.response}</pre>
      )}
    </section>
  )
}

function healthFacts(one: Endpoint): Parameters<typeof Facts>[0]['facts'] {
  return [
    [
      'Owed',
      <a href={pathWith('/deliveries', { state: 'pending', endpoint_id: one.id })}>
        {number(one.owed)}: {number(one.due)} due, {number(one.waiting)} waiting, {number(one.in_flight)} in
        flight
      </a>,
    ],
    ['Oldest due', one.oldest_due_seconds === null ? null : duration(one.oldest_due_seconds)],
    ['Breaker', one.breaker === 'closed' ? 'closed: deliveries flow' : `${one.breaker}: what is owed waits`],
    ['Failures in a row', number(one.failures)],
    ['Next probe', one.next_probe_at === null ? null : <Time at={one.next_probe_at} />],
    ['Paused', one.paused_at === null ? null : <Time at={one.paused_at} />],
    ['Last success', <Time at={one.last_success_at} none="none yet" />],
    ['Last failure', <Time at={one.last_failure_at} none="none" />],
    ['Last error', one.last_error === null ? null : <Theirs text={one.last_error} />],
  ]
}

function settings(one: Endpoint): Parameters<typeof Facts>[0]['facts'] {
  const common = 'as all endpoints'
  return [
    ['In flight at most', one.max_in_flight === null ? common : number(one.max_in_flight)],
    [
      'Retries after',
      one.retry_schedule === null ? common : one.retry_schedule.join(', ') || 'none: it is not retried',
    ],
    ['Timeout', one.timeout ?? common],
    ['Given up after', one.max_owed_age ?? common],
    [
      'Own headers',
      one.header_names.length === 0 ? (
        'none'
      ) : (
        <Theirs text={`${one.header_names.join(', ')} (values hidden)`} />
      ),
    ],
    ['Endpoint id', <code>{one.id}</code>],
  ]
}
