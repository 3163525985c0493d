import type { DeliveryDetail, Endpoint } from '../client/types.ts'

/** `1234567` → `1,234,567` */
export function number(n: number): string {
  return n.toLocaleString('en-US')
}

/** `1 event`, `2,000 events` */
export function count(n: number, noun: string): string {
  return `${number(n)} ${noun}${n === 1 ? '' : 's'}`
}

const units = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
  [1, 's'],
] as const

/** `90` → `1 min 30 s`, `0.25` → `250 ms`; of so many units at most, the largest first. */
export function span(seconds: number, most = 2): string {
  if (seconds > 0 && seconds < 1) return `${Math.round(seconds * 1_000)} ms`
  let left = Math.max(0, Math.round(seconds))
  const parts = units.map(([size, unit]) => {
    const n = Math.floor(left / size)
    left -= n * size
    return { n, unit }
  })
  const first = parts.findIndex(({ n }) => n > 0)
  if (first === -1) return '0 s'
  return parts
    .slice(first, first + most)
    .filter(({ n }) => n > 0)
    .map(({ n, unit }) => `${n} ${unit}`)
    .join(' ')
}

/** `3 min ago`, `in 20 s`, `just now`: the largest unit only. */
export function relative(time: string, now = Date.now()): string {
  const seconds = (now - Date.parse(time)) / 1000
  if (Math.abs(seconds) < 1) return 'just now'
  return seconds > 0 ? `${span(seconds, 1)} ago` : `in ${span(-seconds, 1)}`
}

/** `14:30:00 UTC`, with its day where that is another than today's: `2026-01-31 14:30:00 UTC`. */
export function clock(time: string, now = Date.now()): string {
  const today = new Date(now).toISOString().slice(0, 10)
  const day = time.startsWith(today) ? '' : `${time.slice(0, 10)} `
  return `${day}${time.slice(11, 19)} UTC`
}

/** `850` → `850 ms`, `1500` → `1.5 s`, `90000` → `1 min 30 s` */
export function milliseconds(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  return ms < 60_000 ? `${Number((ms / 1_000).toPrecision(2))} s` : span(ms / 1_000)
}

/** `a`, `a and b`, `a, b and 3 more`: two of them at most, or three where these are all. */
export function few(names: readonly string[]): string {
  if (names.length <= 1) return names[0] ?? ''
  if (names.length <= 3) return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
  return `${names.slice(0, 2).join(', ')} and ${number(names.length - 2)} more`
}

/** What an endpoint's state means to who is to act on it. */
export const endpointStates: Record<Endpoint['status'], string> = {
  new: 'Not tried yet',
  healthy: 'Healthy',
  failing: 'Failing',
  open: 'Not answering',
  probing: 'Being tried',
  paused: 'Paused',
}

/** What somebody could do about it; undefined where there is nothing to do. */
export function nextForEndpoint({ status, owed }: Pick<Endpoint, 'status' | 'owed'>): string | undefined {
  switch (status) {
    case 'open':
    case 'probing':
      return 'Get the receiver fixed: what is owed then goes out by itself'
    case 'failing':
      return 'Read its last error; what failed is retried by itself'
    case 'paused':
      return owed > 0
        ? 'Send a test, then resume it: what is owed waits'
        : 'Resume it when it may receive again'
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
  breaker_open: 'Its endpoint has not answered as it should',
  at_capacity: 'Its endpoint is busy',
  no_dispatcher: 'Nothing sends: no dispatcher runs',
  other_installation: 'Nothing is sent: this database belongs to another installation',
}

/** A receiver's or an operator's short words as a sentence of their own. */
export function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
