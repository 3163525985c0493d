import type { DeliveryDetail, Endpoint } from '../client/types.ts'
import { program } from './program.ts'

type Reason = NonNullable<DeliveryDetail['waiting']>['reason']

/** The next command for an event that has not arrived, each with what it is for. */
export function nextSteps(event: DeliveryDetail): [string, string][] {
  const { event_id, endpoint_id, state, waiting } = event
  switch (state) {
    case 'delivered':
      return [['deliver it again', `${program} replay ${event_id}`]]
    case 'dead':
      return [
        ['mend what the last error names, try the endpoint', `${program} test ${endpoint_id}`],
        ['then deliver it again', `${program} replay ${event_id}`],
      ]
    case 'discarded':
      return [['deliver it all the same', `${program} replay ${event_id}`]]
    case 'pending':
    case 'delivering':
      return waiting === null ? [] : whileWaiting(waiting.reason, endpoint_id, event_id)
    default:
      return state satisfies never
  }
}

/** The next command for an endpoint; undefined where there is nothing to do. */
export function nextForEndpoint({
  status,
  id,
  owed,
}: Pick<Endpoint, 'status' | 'id' | 'owed'>): string | undefined {
  if (status === 'paused') return `${program} test ${id}, then ${program} resume ${id}`
  if (status === 'open' || status === 'probing') {
    return `mend the receiver and try it by ${program} test ${id}; ${program} resume ${id} probes at once`
  }
  return owed === 0 ? undefined : `${program} deliveries --endpoint ${id}`
}

function whileWaiting(reason: Reason, endpoint: string, event: string): [string, string][] {
  const look: [string, string] = ['see how its endpoint fares', `${program} endpoints ${endpoint}`]
  switch (reason) {
    case 'paused':
      return [look, ['let it flow again', `${program} resume ${endpoint}`]]
    case 'breaker_open':
      return [
        look,
        ['try the receiver', `${program} test ${endpoint}`],
        ['probe at once', `${program} resume ${endpoint}`],
      ]
    case 'no_dispatcher':
      return [
        ['start one', 'npm start (ROLE=all or ROLE=dispatcher, with the same DATABASE_URL)'],
        ['look at the database', `${program} doctor`],
      ]
    case 'other_installation':
      return [['say that it is right to send', `${program} confirm-installation --help`]]
    case 'backing_off':
      return [look, ['give it up', `${program} discard ${event}`]]
    case 'at_capacity':
      return [look, ['see what is owed to all', `${program} status`]]
    case 'due':
    case 'delivering':
      return [
        ['look again in a moment; if it stays so', `${program} status`],
        ['and', `${program} doctor`],
      ]
    default:
      return reason satisfies never
  }
}
