import type { Child } from 'hono/jsx'
import type { Endpoint } from '../client/types.ts'
import { formatDuration } from '../config.ts'
import type { PageLimits, PageServices } from './pages.ts'
import { type Facts, pathWith, Theirs, Time } from './parts.tsx'
import { count, few, nextForEndpoint, number, span } from './words.ts'

interface About {
  one: Endpoint
  projects: string[]
  limits: PageLimits
}

/** What is wrong with it, since when, for whom, and what next. */
export function Health({ one, projects, limits }: About) {
  const grave = one.status === 'open' || one.status === 'probing'
  const next = nextForEndpoint(one)
  return (
    <div class={grave ? 'answer bad' : 'answer'}>
      <b>
        <What one={one} />
      </b>
      {one.failures > 0 && (
        <p>
          {count(one.failures, 'failure')} in a row, the last at{' '}
          <Time at={one.last_failure_at} none="an unknown time" />:{' '}
          <Theirs text={one.last_error} none="no reason is known" />.
        </p>
      )}
      <p>
        <Owed one={one} projects={projects} limits={limits} />
      </p>
      {one.status === 'open' && one.next_probe_at !== null && (
        <p>
          One event tries it again at <Time at={one.next_probe_at} />. When that is delivered, the rest
          follows by itself.
        </p>
      )}
      {one.status === 'probing' && (
        <p>One event tries it right now. When that is delivered, the rest follows by itself.</p>
      )}
      {next !== undefined && (
        <p>
          <b>Next:</b> {next}.
        </p>
      )}
    </div>
  )
}

function What({ one }: { one: Endpoint }) {
  switch (one.status) {
    case 'open':
    case 'probing':
      return (
        <>
          It has not answered as it should since <Time at={one.since} none="an unknown time" />
        </>
      )
    case 'failing':
      return (
        <>
          It has been failing since <Time at={one.since} none="an unknown time" />
        </>
      )
    case 'paused':
      return (
        <>
          Paused (<Theirs text={one.paused_reason} none="no reason given" />) since <Time at={one.since} />
        </>
      )
    case 'healthy':
      return (
        <>
          It answers, last at <Time at={one.last_success_at} none="an unknown time" />
        </>
      )
    case 'new':
      return <>Nothing was sent to it yet</>
    default:
      return one.status satisfies never
  }
}

function Owed({ one, projects, limits }: About) {
  if (one.owed === 0) return <>Nothing is owed to it.</>
  const waits = one.status === 'open' || one.status === 'probing' || one.status === 'paused'
  const flow = `${waits ? 'wait' : 'flow'}${one.owed === 1 ? 's' : ''}`
  const oldest = one.oldest_due_seconds
  return (
    <>
      {count(one.owed, 'event')}
      {projects.length > 0 && (
        <>
          {' '}
          of <Theirs text={few(projects)} />
        </>
      )}
      {` ${flow}`}
      {oldest !== null && oldest >= 1 && `, the oldest for ${span(oldest)}`}
      {waits ? `; each is kept for ${one.max_owed_age ?? formatDuration(limits.maxOwedAgeMs)}.` : '.'}
    </>
  )
}

type Fact = [string, Child | null]
export type FactList = Parameters<typeof Facts>[0]['facts']

const breakers = {
  closed: 'closed: what is owed is sent',
  open: 'open: what is owed waits until one event is delivered',
  probing: 'open: one event tries it now, what is owed waits',
} as const

export function healthFacts(one: Endpoint): FactList {
  return [
    [
      'Owed',
      <>
        {one.owed === 0 ? (
          '0 events'
        ) : (
          <a href={pathWith('/deliveries', { state: 'pending', endpoint_id: one.id })}>
            {count(one.owed, 'event')}
          </a>
        )}
        {one.owed > 0 &&
          ` (${number(one.due)} due, ${number(one.waiting)} for later, ${number(one.in_flight)} being sent)`}
      </>,
    ],
    ['Oldest due', one.oldest_due_seconds === null ? null : `for ${span(one.oldest_due_seconds)}`],
    ['Breaker', breakers[one.breaker]],
    ['Failures in a row', number(one.failures)],
    ['Last success', <Time at={one.last_success_at} none="none yet" />],
    ['Last failure', <Time at={one.last_failure_at} none="none" />],
    ['Last error', one.last_error === null ? null : <Theirs text={one.last_error} />],
    ['Next try', one.next_probe_at === null ? null : <Time at={one.next_probe_at} />],
  ]
}

export function settings(one: Endpoint, { limits }: PageServices): FactList {
  const either = (own: string | number | null, common: string | number, name: string): Fact[1] =>
    own === null ? `${common}, as for all endpoints (${name})` : `${own}, its own`
  const schedule = limits.retrySchedule.map(formatDuration).join(', ')
  return [
    [
      'Sent at once, at most',
      either(one.max_in_flight, number(limits.maxInFlightPerEndpoint), 'MAX_IN_FLIGHT_PER_ENDPOINT'),
    ],
    [
      'Retried after',
      one.retry_schedule?.length === 0
        ? 'never: it is not retried'
        : either(one.retry_schedule?.join(', ') ?? null, schedule || 'never', 'RETRY_SCHEDULE'),
    ],
    ['Answers within', either(one.timeout, formatDuration(limits.deliveryTimeoutMs), 'DELIVERY_TIMEOUT')],
    ['Discarded if owed for', either(one.max_owed_age, formatDuration(limits.maxOwedAgeMs), 'MAX_OWED_AGE')],
    [
      'Own headers',
      one.header_names.length === 0 ? (
        'none'
      ) : (
        <Theirs text={`${one.header_names.join(', ')} (values hidden)`} />
      ),
    ],
    [
      'Signed with',
      one.signing_secrets === 0
        ? 'no secret of its own: with those of the project, if any'
        : `${count(one.signing_secrets, 'secret')} of its own`,
    ],
    ['Known since', <Time at={one.created_at} />],
    ['Endpoint id', <code>{one.id}</code>],
  ]
}
