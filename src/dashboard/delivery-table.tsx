import type { Delivery } from '../client/types.ts'
import type { EndpointBrief } from './about-endpoints.ts'
import { Cell, deliveryPath, Empty, State, Theirs, When } from './parts.tsx'

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
    <table class="deliveries">
      <thead>
        <tr>
          <th scope="col">Event</th>
          <th scope="col">State</th>
          <th scope="col">Project</th>
          {to && <th scope="col">To</th>}
          <th scope="col">Why</th>
          <th scope="col" class="number">
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
      </th>
      <Cell label="State">
        <State state={one.state} />
      </Cell>
      <Cell label="Project" kind="project" empty={one.project_id === null}>
        <Theirs text={one.project_id} />
      </Cell>
      {to && (
        <Cell label="To" kind="full to">
          <Theirs text={one.url} />
        </Cell>
      )}
      <Cell label="Why" kind="full" empty={why === null}>
        <Theirs text={why} />
      </Cell>
      <Cell label="Attempts" kind="number wide">
        {one.attempts}
      </Cell>
      <Cell label="Created" kind="full">
        <When at={one.created_at} />
      </Cell>
    </tr>
  )
}

/** What an event waits for in a few words, or why it was given up; null where it is delivered, or about to be. */
function whyOf({ state, last_error }: Delivery, endpoint: EndpointBrief | undefined): string | null {
  if (state === 'delivered') return null
  if (state === 'pending' && endpoint?.paused === true) return 'endpoint is paused'
  if (state === 'pending' && endpoint !== undefined && endpoint.breaker !== 'closed') {
    return `endpoint does not answer${last_error === null ? '' : `: ${last_error}`}`
  }
  return last_error
}
