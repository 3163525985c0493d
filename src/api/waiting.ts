import { time } from './answer.ts'
import type { WebhookEventRow } from './delivery-rows.ts'
import type { waitingReasons } from './schemas/delivery-answer.ts'

type Time = Date | number | null

/** What an owed event waits for, by the clock of the database; all of it null where it is settled. */
export interface WaitingFor {
  is_due: boolean | null
  lease_until: Time
  lease_expired: boolean | null
  /** Whether a dispatcher is connected to the database. */
  dispatched: boolean
  /** The database belongs to another installation than this service. */
  foreign: boolean
  /** Of its endpoint; null where it has no row yet. */
  breaker: 'closed' | 'open' | 'probing' | null
  probe_at: Time
  opened_at: Time
  paused_at: Time
  paused_reason: string | null
  in_flight: number | null
  capacity: number | null
}

interface Waiting {
  reason: (typeof waitingReasons)[number]
  since: string | null
  until: string | null
  detail: string
}

const started = 'start one (ROLE all or dispatcher) on this database'

/** Why an event is not delivered yet, the weightiest reason first; null where it is settled. */
export function explainWaiting(event: WebhookEventRow & WaitingFor): Waiting | null {
  switch (event.state) {
    case 'delivered':
    case 'dead':
    case 'discarded':
      return null
    case 'delivering':
      return inFlight(event)
    case 'pending':
      return byInstallation(event) ?? byEndpoint(event) ?? byTime(event)
    default:
      return event.state satisfies never
  }
}

function inFlight(event: WaitingFor): Waiting {
  if (event.lease_expired !== true) {
    const detail = 'a dispatcher is sending it; its lease lasts until then'
    return waiting('delivering', detail, { until: event.lease_until })
  }
  if (!event.dispatched) {
    return waiting('no_dispatcher', `its dispatcher is gone, and none is connected: ${started}`)
  }
  return waiting('due', 'its dispatcher did not report back: the next one to look takes it')
}

function byInstallation({ foreign }: WaitingFor): Waiting | undefined {
  if (!foreign) return undefined
  const detail =
    'the database belongs to another installation than this service, which sends nothing until an operator confirms: see /readyz'
  return waiting('other_installation', detail)
}

function byEndpoint(event: WaitingFor): Waiting | undefined {
  if (event.paused_at !== null) {
    const detail = `its endpoint is paused (${event.paused_reason ?? 'no reason given'}): resume it`
    return waiting('paused', detail, { since: event.paused_at })
  }
  if (event.breaker === 'open') {
    const detail = 'its endpoint keeps failing: what is owed to it waits, and one delivery probes it then'
    return waiting('breaker_open', detail, { since: event.opened_at, until: event.probe_at })
  }
  if (event.breaker === 'probing') {
    const detail =
      'its endpoint keeps failing: another delivery is probing it now, and this one waits for what comes of it'
    return waiting('breaker_open', detail, { since: event.opened_at })
  }
  return undefined
}

function byTime(event: WebhookEventRow & WaitingFor): Waiting {
  if (event.is_due !== true) {
    const detail =
      event.attempts === 0
        ? 'its first attempt was put off until then'
        : `attempt ${event.attempts} failed; the next one is made then, by the retry schedule or by a Retry-After of the receiver`
    return waiting('backing_off', detail, { until: event.next_attempt_at })
  }
  if (!event.dispatched) return waiting('no_dispatcher', `no dispatcher is connected: ${started}`)
  if (event.in_flight !== null && event.capacity !== null && event.in_flight >= event.capacity) {
    const detail = `its endpoint has ${event.in_flight} deliveries in flight, as many as it may have: its turn comes when one ends`
    return waiting('at_capacity', detail)
  }
  return waiting('due', 'the next dispatcher with room for it takes it')
}

function waiting(
  reason: Waiting['reason'],
  detail: string,
  { since = null, until = null }: { since?: Time; until?: Time } = {},
): Waiting {
  return { reason, since: time(since), until: time(until), detail }
}
