import type { AuditEntry, Delivery, Endpoint, EndpointTest, Page } from '../client/types.ts'
import { windowOf } from './activity.ts'
import { projectsWaitingFor } from './about-endpoints.ts'
import { AuditTable } from './audit.tsx'
import { LatencyChart, SettledChart, Windows } from './chart.tsx'
import { DeliveryTable } from './delivery-table.tsx'
import { Health, healthFacts, settings } from './endpoint-health.tsx'
import { here, page } from './layout.tsx'
import { apiOf, type PageContext, type PageServices } from './pages.ts'
import { Empty, EndpointState, endpointPath, Facts, pathWith, Region, Theirs } from './parts.tsx'
import { endpointStates, milliseconds } from './words.ts'

/** How far back an endpoint's own deliveries are looked for: history has no index by endpoint. */
const recentMs = 3_600_000
/** Much less is dead than delivered, and the dead lie apart. */
const deadMs = 24 * recentMs
const auditMs = 30 * deadMs
const shown = 8

/** @param test what a test that was just sent came to */
export async function endpointPage(c: PageContext, services: PageServices, id: string, test?: EndpointTest) {
  const api = apiOf(c, services)
  const one = await api.get<Endpoint>(endpointPath(id))
  const path = endpointPath(one.id)
  const since = (ms: number) => new Date(Date.now() - ms).toISOString()
  const mine = { endpoint_id: one.id, limit: shown }
  const [seen, dead, recent, waiting, audit] = await Promise.all([
    services.activity.look(windowOf(c.req.query('window')), one.id),
    api.get<Page<Delivery>>('/deliveries', { ...mine, state: 'dead', from: since(deadMs) }),
    api.get<Page<Delivery>>('/deliveries', { ...mine, from: since(recentMs) }),
    projectsWaitingFor(services.db, [one.id]),
    api.get<Page<AuditEntry>>('/audit', { target: path.slice(1), from: since(auditMs), limit: shown }),
  ])
  return page(
    c,
    {
      title: `${endpointStates[one.status]}: ${one.url}`,
      section: '/endpoints',
      live: test === undefined ? here(c) : path,
    },
    <>
      <Region name="head">
        <h1>
          <Theirs text={one.url} /> <EndpointState status={one.status} />
        </h1>
        <Health one={one} projects={waiting.get(one.id) ?? []} limits={services.limits} />
      </Region>
      {c.get('visitor').mayWrite && <Actions one={one} />}
      {test !== undefined && <TestResult test={test} />}
      <Region name="endpoint">
        <section aria-labelledby="health">
          <h2 id="health">Health</h2>
          <Windows path={path} chosen={seen.window} />
          <div class="charts">
            <SettledChart seen={seen} />
            <LatencyChart seen={seen} />
          </div>
          <Facts facts={healthFacts(one)} />
        </section>
        <section aria-labelledby="dead">
          <h2 id="dead">Dead in the last 24 hours</h2>
          <DeliveryTable deliveries={dead.items} none="None." to={false} />
          {dead.next_cursor !== null && (
            <p class="more">
              <a href={pathWith('/deliveries', { state: 'dead', endpoint_id: one.id })}>
                All its dead events
              </a>
            </p>
          )}
        </section>
        <section aria-labelledby="recent">
          <h2 id="recent">Events of the last hour</h2>
          <DeliveryTable deliveries={recent.items} none="There was none." to={false} />
          <p class="more">
            <a href={pathWith('/deliveries', { endpoint_id: one.id })}>All its events</a>
          </p>
        </section>
        <section aria-labelledby="audit">
          <h2 id="audit">What operators did</h2>
          <AuditTable
            entries={audit.items}
            endpoints={new Map()}
            none="Nothing in the last 30 days."
            target={false}
          />
          {audit.next_cursor !== null && (
            <p class="more">
              <a href={pathWith('/audit', { target: path.slice(1) })}>All that was done to it</a>
            </p>
          )}
        </section>
        <section aria-labelledby="settings">
          <h2 id="settings">Settings</h2>
          <Facts facts={settings(one, services)} />
        </section>
      </Region>
    </>,
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
        {!flows && <button>{one.paused_at === null ? 'Resume: try it now' : 'Resume'}</button>}
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
