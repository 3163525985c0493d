import type { Delivery } from '../client/types.ts'
import type { EndpointBrief } from './about-endpoints.ts'
import { deliveryPath, Empty, State, Theirs, When } from './parts.tsx'

/**
 * @param to whether to say where they go
 * @param endpoints by their ids: where an event waits for its endpoint, that is why
 */
export function DeliveryTable({
  deliveries,
  none,
  to = true,
  endpoints,
}: {
  deliveries: Delivery[]
  none: string
  to?: boolean
  endpoints?: Map<string, EndpointBrief>
}) {
  if (deliveries.length === 0) return <Empty>{none}</Empty>
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Event</th>
          <th scope="col">State</th>
          <th scope="col" class="wide">
            Project
          </th>
          {to && (
            <th scope="col" class="wide">
              To
            </th>
          )}
          <th scope="col" class="wide">
            Why
          </th>
          <th scope="col" class="wide number">
            Attempts
          </th>
          <th scope="col">Created</th>
        </tr>
      </thead>
      <tbody>
        {deliveries.map((one) => (
          <DeliveryRow one={one} to={to} why={whyOf(one, endpoints?.get(one.endpoint_id))} />
        ))}
      </tbody>
    </table>
  )
}

function DeliveryRow({ one, to, why }: { one: Delivery; to: boolean; why: string | null }) {
  return (
    <tr data-key={one.event_id}>
      <th scope="row">
        <a href={deliveryPath(one.event_id)}>
          {one.event_type} <Theirs text={one.task_id ?? one.entity_id} />
        </a>
        {why !== null && (
          <small class="narrow">
            <Theirs text={why} />
          </small>
        )}
        {to && (
          <small class="narrow">
            <Theirs text={one.url} />
          </small>
        )}
      </th>
      <td>
        <State state={one.state} />
        {one.project_id !== null && (
          <small class="narrow">
            <Theirs text={one.project_id} />
          </small>
        )}
      </td>
      <td class="wide">
        <Theirs text={one.project_id} />
      </td>
      {to && (
        <td class="wide">
          <Theirs text={one.url} />
        </td>
      )}
      <td class="wide">
        <Theirs text={why} />
      </td>
      <td class="wide number">{one.attempts}</td>
      <td>
        <When at={one.created_at} />
      </td>
    </tr>
  )
}

/** What an event waits for in a few words, or why it was given up; null where it is delivered, or about to be. */
function whyOf({ state, last_error }: Delivery, endpoint: EndpointBrief | undefined): string | null {
  if (state === 'delivered') return null
  if (state === 'pending' && endpoint?.paused === true) return 'its endpoint is paused'
  if (state === 'pending' && endpoint !== undefined && endpoint.breaker !== 'closed') {
    return `its endpoint does not answer${last_error === null ? '' : `: ${last_error}`}`
  }
  return last_error
}
