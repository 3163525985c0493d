import { deliveryStates } from '../api/schemas/delivery.ts'
import type { Delivery, Page } from '../client/types.ts'
import { type Filter, filterNames, filterOf, inWords, tidy } from './filter.ts'
import { here, page } from './layout.tsx'
import { apiOf, type PageContext, type PageServices } from './pages.ts'
import { deliveryPath, Empty, Paging, pathWith, Region, State, Theirs, Time } from './parts.tsx'

/** For who has just begun. */
export const noEvents =
  'There was no event yet. Give a project or a ticket a webhook_url: what its tasks come to then shows here.'

const eventTypes = ['task.completed', 'task.failed', 'agent.stuck']

export async function deliveriesPage(c: PageContext, services: PageServices) {
  const given = c.req.query()
  const query = tidy(given)
  // What a form sends has its empty fields in it: a URL to share has not.
  if (new URLSearchParams(given).toString() !== new URLSearchParams(query).toString()) {
    return c.redirect(pathWith('/deliveries', query), 303)
  }
  const { items, next_cursor } = await apiOf(c, services).get<Page<Delivery>>('/deliveries', {
    limit: 50,
    ...query,
  })
  const filter = filterOf(query)
  return page(
    c,
    { title: 'Deliveries', section: '/deliveries', live: here(c) },
    <>
      <h1>Deliveries</h1>
      <FilterForm filter={filter} />
      {c.get('visitor').mayWrite && items.length > 0 && <BulkLinks filter={filter} />}
      <Region name="deliveries">
        <DeliveryTable
          deliveries={items}
          none={Object.keys(filter).length === 0 ? noEvents : `There is no delivery: ${inWords(filter)}.`}
        />
        <Paging path="/deliveries" query={query} next={next_cursor} />
      </Region>
    </>,
  )
}

/** @param to whether to say where they go */
export function DeliveryTable({
  deliveries,
  none,
  to = true,
}: {
  deliveries: Delivery[]
  none: string
  to?: boolean
}) {
  if (deliveries.length === 0) return <Empty>{none}</Empty>
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Event</th>
          <th scope="col">State</th>
          {to && (
            <th scope="col" class="wide">
              To
            </th>
          )}
          <th scope="col" class="wide">
            Last error
          </th>
          <th scope="col" class="wide number">
            Attempts
          </th>
          <th scope="col">Created</th>
        </tr>
      </thead>
      <tbody>
        {deliveries.map((one) => (
          <tr data-key={one.event_id}>
            <th scope="row">
              <a href={deliveryPath(one.event_id)}>
                {one.event_type} <Theirs text={one.task_id ?? one.entity_id} />
              </a>
              <small class="narrow">
                <Theirs text={one.last_error ?? (to ? one.url : null)} none="" />
              </small>
            </th>
            <td>
              <State state={one.state} />
            </td>
            {to && (
              <td class="wide">
                <Theirs text={one.url} />
              </td>
            )}
            <td class="wide">
              <Theirs text={one.last_error} />
            </td>
            <td class="wide number">{one.attempts}</td>
            <td>
              <Time at={one.created_at} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function FilterForm({ filter }: { filter: Filter }) {
  const more = filterNames.filter((name) => name !== 'state' && name !== 'event_type' && name !== 'task_id')
  return (
    <form class="filter" method="get" action="/deliveries" aria-label="Filter">
      <Choice name="state" label="State" values={deliveryStates} chosen={filter.state} />
      <Choice name="event_type" label="Event" values={eventTypes} chosen={filter.event_type} />
      <Text name="task_id" label="Task" value={filter.task_id} />
      <details open={more.some((name) => filter[name] !== undefined)}>
        <summary>More filters</summary>
        <div>
          <Text name="ticket_id" label="Ticket" value={filter.ticket_id} />
          <Text name="project_id" label="Project" value={filter.project_id} />
          <Text name="endpoint_id" label="Endpoint id" value={filter.endpoint_id} />
          <Text name="error" label="Error contains" value={filter.error} />
          <Text
            name="from"
            label="Created from (UTC)"
            value={filter.from?.slice(0, 16)}
            type="datetime-local"
          />
          <Text
            name="to"
            label="Created before (UTC)"
            value={filter.to?.slice(0, 16)}
            type="datetime-local"
          />
        </div>
      </details>
      <button>Filter</button>
      {Object.keys(filter).length > 0 && <a href="/deliveries">Clear</a>}
    </form>
  )
}

function Choice({
  name,
  label,
  values,
  chosen,
}: {
  name: string
  label: string
  values: readonly string[]
  chosen: string | undefined
}) {
  const all = chosen === undefined || values.includes(chosen) ? values : [...values, chosen]
  return (
    <label>
      {label}
      <select name={name}>
        <option value="">any</option>
        {all.map((value) => (
          <option value={value} selected={value === chosen}>
            {value}
          </option>
        ))}
      </select>
    </label>
  )
}

function Text(props: { name: string; label: string; value: string | undefined; type?: string }) {
  const { name, label, value, type = 'text' } = props
  return (
    <label>
      {label}
      <input name={name} type={type} value={value ?? ''} autocomplete="off" />
    </label>
  )
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
