import type { DeliveryDetail, Endpoint } from '../client/types.ts'
import { program } from './program.ts'

type Reason = NonNullable<DeliveryDetail['waiting']>['reason']

/**
 * The next command for an event that has not arrived, each with what it is for.
 * @param endpoint its endpoint, where it is known
 */
export function nextSteps(event: DeliveryDetail, endpoint?: Pick<Endpoint, 'status'>): [string, string][] {
  const { event_id, endpoint_id, state, waiting } = event
  switch (state) {
    case 'delivered':
      return [['deliver it again', `${program} replay ${event_id}`]]
    case 'dead':
      return onceDead(event, endpoint)
    case 'discarded':
      return onceDiscarded(event)
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
  if (owed > 0) return `${program} deliveries --endpoint ${id}`
  return status === 'failing' ? `${program} deliveries --endpoint ${id} --state dead` : undefined
}

/** What to mend before it is replayed, by how it died: a replay goes to the URL that is configured then. */
function onceDead(event: DeliveryDetail, endpoint: Pick<Endpoint, 'status'> | undefined): [string, string][] {
  const { event_id, endpoint_id, last_status: status, last_error } = event
  const test = `${program} test ${endpoint_id}`
  const replay: [string, string] = ['then deliver it again', `${program} replay ${event_id}`]
  const resume: [string, string][] =
    endpoint?.status === 'paused' ? [['let its endpoint flow again', `${program} resume ${endpoint_id}`]] : []
  if (last_error?.startsWith('address not allowed')) {
    const config = 'or allow it: ADDRESS_POLICY, ADDRESS_ALLOW and ADDRESS_DENY of the service'
    return [['set another webhook_url', `${patchUrl(event)}; ${config}`], ...resume, replay]
  }
  if (status !== null && status >= 300 && status < 400) {
    return [['set the webhook_url to where it redirects', patchUrl(event)], ...resume, replay]
  }
  if (status === 410) {
    return [
      ['ask the receiver whether it is gone; try it', test],
      ['or set another webhook_url', patchUrl(event)],
      ...resume,
      replay,
    ]
  }
  return [['mend what the last error names, try the endpoint', test], ...resume, replay]
}

function onceDiscarded(event: DeliveryDetail): [string, string][] {
  const replay: [string, string] = ['deliver it all the same', `${program} replay ${event.event_id}`]
  if (event.last_error === 'expired') return [replay]
  if (event.last_error !== 'url_removed') {
    return [['see who did it', `GET /api/v1/audit?target=deliveries/${event.event_id}`], replay]
  }
  return [
    ['see who took it away', 'GET /api/v1/audit?action=webhook_url.change'],
    ['give it a webhook_url again', patchUrl(event)],
    replay,
  ]
}

function patchUrl({ ticket_id, project_id }: DeliveryDetail): string {
  const paths = [
    ticket_id && `tickets/${encodeURIComponent(ticket_id)}`,
    project_id && `projects/${encodeURIComponent(project_id)}`,
  ]
  // A webhook.test is of no ticket.
  if (!paths.some(Boolean)) return 'wherever it is configured'
  return `PATCH /api/v1/${paths.filter(Boolean).join(' or /api/v1/')} {"webhook_url": "…"}`
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
      return [
        look,
        [
          'send it now (SQL)',
          `update webhook_outbox set next_attempt_at = now() where event_id = '${event}'`,
        ],
        ['give it up', `${program} discard ${event}`],
      ]
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
