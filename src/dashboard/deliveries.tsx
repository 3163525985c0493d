import { deliveryStates, isUuid } from '../api/schemas/delivery.ts'
import type { Delivery, Endpoint, Page } from '../client/types.ts'
import { endpointsById } from './about-endpoints.ts'
import { DeliveryTable } from './delivery-table.tsx'
import { Choice, Text } from './fields.tsx'
import { type Filter, filterNames, filterOf, inWords, tidy } from './filter.ts'
import { here, page } from './layout.tsx'
import { apiOf, type PageContext, type PageServices } from './pages.ts'
import {
  deliveryPath,
  EndpointState,
  endpointPath,
  Paging,
  pathWith,
  Region,
  Theirs,
  Time,
} from './parts.tsx'
import { sentence } from './words.ts'

/** For who has just begun. */
export const noEvents =
  'There was no event yet. Give a project or a ticket a webhook_url: what its tasks come to then shows here.'

const eventTypes = ['task.completed', 'task.failed', 'agent.stuck']

export async function deliveriesPage(c: PageContext, services: PageServices) {
  const { event_id, ...given } = c.req.query()
  // What the people of a receiver have is the webhook-id.
  if (event_id !== undefined && event_id.trim() !== '') {
    const id = event_id.trim().toLowerCase()
    if (isUuid(id)) return c.redirect(deliveryPath(id), 303)
  }
  const query = tidy(given)
  // What a form sends has its empty fields in it: a URL to share has not.
  if (event_id === '' || new URLSearchParams(given).toString() !== new URLSearchParams(query).toString()) {
    return c.redirect(pathWith('/deliveries', query), 303)
  }
  const api = apiOf(c, services)
  const filter = filterOf(query)
  const { items, next_cursor } = await api.get<Page<Delivery>>('/deliveries', { limit: 50, ...query })
  const ids = [...new Set(items.map((one) => one.endpoint_id))]
  const [endpoints, endpoint] = await Promise.all([
    endpointsById(services.db, ids),
    filter.endpoint_id === undefined
      ? undefined
      : api.get<Endpoint>(endpointPath(filter.endpoint_id)).catch(() => undefined),
  ])
  const named = endpoint === undefined ? undefined : new Map([[endpoint.id, endpoint]])
  const filtered = Object.keys(filter).length > 0
  return page(
    c,
    {
      title: filtered ? `Deliveries: ${inWords(filter, named)}` : 'Deliveries',
      section: '/deliveries',
      live: here(c),
    },
    <>
      <h1>Deliveries</h1>
      <States filter={filter} />
      <FilterForm filter={filter} wrong={event_id} />
      <Region name="endpoint-of">{endpoint !== undefined && <To endpoint={endpoint} />}</Region>
      {c.get('visitor').mayWrite && items.length > 0 && <BulkLinks filter={filter} />}
      <Region name="deliveries">
        <DeliveryTable
          deliveries={items}
          endpoints={endpoints}
          none={filtered ? `There is no delivery: ${inWords(filter, named)}.` : noEvents}
        />
        <Paging path="/deliveries" query={query} next={next_cursor} />
      </Region>
    </>,
  )
}

/** The same filter for each state: one press to what is dead, or waits. */
function States({ filter }: { filter: Filter }) {
  const { state, ...rest } = filter
  return (
    <nav class="views" aria-label="States">
      {[undefined, ...deliveryStates].map((one) => (
        <a
          href={pathWith('/deliveries', one === undefined ? rest : { state: one, ...rest })}
          aria-current={one === state ? 'page' : undefined}
        >
          {one === undefined ? 'All' : sentence(one)}
        </a>
      ))}
    </nav>
  )
}

function To({ endpoint }: { endpoint: Endpoint }) {
  return (
    <p>
      To{' '}
      <a href={endpointPath(endpoint.id)}>
        <Theirs text={endpoint.url} />
      </a>{' '}
      <EndpointState status={endpoint.status} />{' '}
      {endpoint.since !== null && (
        <>
          since <Time at={endpoint.since} />
        </>
      )}
    </p>
  )
}

/** @param wrong an event id that is none */
function FilterForm({ filter, wrong }: { filter: Filter; wrong: string | undefined }) {
  const more = filterNames.filter((name) => name !== 'state' && name !== 'event_type' && name !== 'task_id')
  return (
    <form class="filter" method="get" action="/deliveries" aria-label="Filter">
      {filter.state !== undefined && <input type="hidden" name="state" value={filter.state} />}
      <Choice name="event_type" label="Event" values={eventTypes} chosen={filter.event_type} />
      <Text name="task_id" label="Task" value={filter.task_id} />
      <Text name="event_id" label="Event id (webhook-id)" value={wrong} />
      <details open={more.some((name) => filter[name] !== undefined)}>
        <summary>More filters</summary>
        <div>
          <Text name="ticket_id" label="Ticket" value={filter.ticket_id} />
          <Text name="project_id" label="Project" value={filter.project_id} />
          <Text name="endpoint_id" label="Endpoint id" value={filter.endpoint_id} />
          <Text name="error" label="Error contains" value={filter.error} />
          <Text name="from" label="Created from (UTC)" value={inUtc(filter.from)} type="datetime-local" />
          <Text name="to" label="Created before (UTC)" value={inUtc(filter.to)} type="datetime-local" />
        </div>
      </details>
      <button>Filter</button>
      {Object.keys(filter).length > 0 && <a href="/deliveries">Clear</a>}
      {wrong !== undefined && (
        <p class="bad" role="alert">
          An event id is a UUID, as the header webhook-id has it.
        </p>
      )}
    </form>
  )
}

/** As a browser's field takes it: without its zone, which is UTC. */
function inUtc(time: string | undefined): string | undefined {
  const at = Date.parse(time ?? '')
  return Number.isNaN(at) ? undefined : new Date(at).toISOString().slice(0, 19)
}

/** What can be done to all that the filter selects: replay what is settled, discard what is owed. */
function BulkLinks({ filter }: { filter: Filter }) {
  const { state } = filter
  const owed = state === 'pending' || state === 'delivering'
  return (
    <p class="actions">
      {!owed && <a href={pathWith('/bulk/replay', filter)}>Replay all of these…</a>}
      {(owed || state === undefined) && <a href={pathWith('/bulk/discard', filter)}>Discard what is owed…</a>}
    </p>
  )
}
