import type { Endpoint } from '../client/types.ts'
import { nextForEndpoint } from './next-steps.ts'
import type { Output } from './output.ts'
import { duration, moment } from '../words.ts'

export function printEndpoint(out: Output, one: Endpoint): void {
  out.styled('bold', `${one.url} is ${one.status}`)
  out.fields([
    ['endpoint', one.id],
    ['why', one.detail],
    ['since', moment(one.since)],
    ['owed', `${one.owed}: ${one.due} due, ${one.waiting} waiting, ${one.in_flight} in flight`],
    ['oldest due', one.oldest_due_seconds === null ? null : duration(one.oldest_due_seconds)],
    ['next attempt', moment(one.next_attempt_at)],
    ['next probe', moment(one.next_probe_at)],
    [
      'slots',
      one.slots === null ? null : `${one.slots}${one.slow === true ? ' (slow, or not known yet)' : ''}`,
    ],
    ['last 2xx', moment(one.last_success_at)],
    ['last failure', moment(one.last_failure_at)],
    ['last error', one.last_error],
    ...settings(one),
    ['next', nextForEndpoint(one)],
  ])
}

/** What an operator set for it, where it is something. */
function settings(one: Endpoint): [string, string | number | null][] {
  return [
    ['max in flight', one.max_in_flight],
    ['retry schedule', one.retry_schedule === null ? null : one.retry_schedule.join(',') || 'no retries'],
    ['timeout', one.timeout],
    ['max owed age', one.max_owed_age],
    ['signing secrets', one.signing_secrets === 0 ? null : one.signing_secrets],
    ['headers', one.header_names.length === 0 ? null : one.header_names.join(', ')],
  ]
}
