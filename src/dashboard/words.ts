import type { DeliveryDetail, Endpoint } from '../client/types.ts'
import { duration } from '../words.ts'

/** `1234567` → `1,234,567` */
export function number(n: number): string {
  return n.toLocaleString('en-US')
}

/** `1 event`, `2,000 events` */
export function count(n: number, noun: string): string {
  return `${number(n)} ${noun}${n === 1 ? '' : 's'}`
}

/** `3m ago`, `in 20s`, `just now`: the larger unit only. */
export function relative(time: string, now = Date.now()): string {
  const seconds = (now - Date.parse(time)) / 1000
  if (Math.abs(seconds) < 1) return 'just now'
  const [largest] = duration(Math.abs(seconds)).split(' ')
  return seconds > 0 ? `${largest} ago` : `in ${largest}`
}

/** `850` → `850 ms`, `1500` → `1.5 s`, `90000` → `1m 30s` */
export function milliseconds(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  return ms < 60_000 ? `${Number((ms / 1_000).toPrecision(2))} s` : duration(ms / 1_000)
}

/** What an endpoint's state means to who is to act on it. */
export const endpointStates: Record<Endpoint['status'], string> = {
  new: 'Not tried yet',
  healthy: 'Healthy',
  failing: 'Failing',
  open: 'Not answering',
  probing: 'Being probed',
  paused: 'Paused',
}

/** What somebody could do about it; undefined where there is nothing to do. */
export function nextForEndpoint({ status, owed }: Pick<Endpoint, 'status' | 'owed'>): string | undefined {
  switch (status) {
    case 'open':
    case 'probing':
      return 'Mend the receiver, send a test, then resume it to probe at once'
    case 'failing':
      return 'Look at its last error; it is retried by itself'
    case 'paused':
      return owed > 0 ? 'Send a test, then resume it' : 'Resume it when it may receive again'
    case 'new':
    case 'healthy':
      return undefined
    default:
      return status satisfies never
  }
}

type Waiting = NonNullable<DeliveryDetail['waiting']>

export const waitingReasons: Record<Waiting['reason'], string> = {
  delivering: 'It is being sent now',
  due: 'It is due and about to be sent',
  backing_off: 'It waits for its next attempt',
  paused: 'Its endpoint is paused',
  breaker_open: 'Its endpoint does not answer',
  at_capacity: 'Its endpoint is busy',
  no_dispatcher: 'Nothing sends: no dispatcher runs',
  other_installation: 'Nothing is sent: this database belongs to another installation',
}

/** A receiver's or an operator's short words as a sentence of their own. */
export function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
