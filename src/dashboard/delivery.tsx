import { deliveryDetail } from '../api/deliveries.ts'
import { notFound } from '../api/problem.ts'
import type { Attempt } from '../client/types.ts'
import { curlOf, headersOf, type SentRequest } from './curl.ts'
import { here, page } from './layout.tsx'
import type { PageContext, PageServices } from './pages.ts'
import {
  deliveryPath,
  Empty,
  endpointPath,
  Facts,
  pathWith,
  Region,
  State,
  Theirs,
  Time,
  Words,
} from './parts.tsx'
import { count, milliseconds, waitingReasons } from './words.ts'

type Detail = NonNullable<Awaited<ReturnType<typeof deliveryDetail>>>

export async function deliveryPage(c: PageContext, services: PageServices, id: string) {
  const one = await deliveryDetail(services.db, id, {
    perEndpoint: services.maxInFlightPerEndpoint,
    installation: services.installation,
  })
  if (one === undefined) throw notFound('delivery')
  const sent = requestOf(one, services.version)
  return page(
    c,
    { title: `${one.event_type} ${one.entity_id}`, section: '/deliveries', live: here(c) },
    <>
      <Region name="delivery">
        <h1>
          {one.event_type} <Theirs text={one.task_id ?? one.entity_id} /> <State state={one.state} />
        </h1>
        <Answer one={one} />
        {c.get('visitor').mayWrite && <Actions one={one} />}
        <Facts facts={factsOf(one)} />
        <section aria-labelledby="attempts">
          <h2 id="attempts">Attempts</h2>
          <Timeline attempts={one.attempt_log as Attempt[]} sent={sent} />
        </section>
      </Region>
      <section aria-labelledby="body">
        <h2 id="body">Body</h2>
        <pre tabindex={0}>{indented(sent.payload)}</pre>
      </section>
      <section aria-labelledby="curl-heading">
        <h2 id="curl-heading">The same by curl</h2>
        <pre id="curl" tabindex={0}>
          {curlOf(sent)}
        </pre>
        <p class="actions">
          <button type="button" data-copy="curl" hidden>
            Copy
          </button>
          <small>
            The URL is without its query, and the endpoint's own headers are left out: they may be secret.
          </small>
        </p>
      </section>
    </>,
  )
}

/** What is to come at the time that it waits for. */
const untilWhen: Partial<Record<keyof typeof waitingReasons, string>> = {
  delivering: 'Its lease ends',
  backing_off: 'The next attempt is',
  breaker_open: 'The next probe is',
}

function requestOf(one: Detail, version: string): SentRequest {
  const last = one.attempt_log.at(-1)
  const { url, event_id, payload } = one
  return {
    ...{ url, event_id, version, payload: payload.text },
    attempt: Math.max(last?.attempt ?? one.attempts, 1),
    at: last?.started_at ?? null,
  }
}

/** For people: the bytes that are sent stand in the curl command. */
function indented(payload: string): string {
  try {
    return JSON.stringify(JSON.parse(payload), null, 2)
  } catch {
    return payload
  }
}

/** What became of it, since when, and what next. */
function Answer({ one }: { one: Detail }) {
  const { state, waiting } = one
  if (waiting !== null) {
    const { reason, detail, since, until } = waiting
    const grave = reason === 'breaker_open' || reason === 'no_dispatcher'
    return (
      <div class={grave ? 'answer bad' : 'answer'} role="status">
        <b>{waitingReasons[reason]}</b>
        <p>
          <Words text={detail} />.
        </p>
        {(since ?? until) !== null && (
          <p>
            {since !== null && (
              <>
                It began <Time at={since} />.{' '}
              </>
            )}
            {until !== null && (
              <>
                {untilWhen[reason] ?? 'Until then:'} <Time at={until} />.
              </>
            )}
          </p>
        )}
      </div>
    )
  }
  return (
    <div class={state === 'dead' ? 'answer bad' : 'answer'} role="status">
      <b>
        {state === 'delivered' ? 'Delivered' : state === 'dead' ? 'Given up' : 'Discarded'}{' '}
        <Time at={one.settled_at} />
        {state !== 'discarded' && `, after ${count(one.attempts, 'attempt')}`}
      </b>
      {state !== 'delivered' && (
        <p>
          <Theirs text={one.last_error} none="no reason was given" />
        </p>
      )}
      {state === 'dead' && (
        <p>
          Mend what the error names, <a href={endpointPath(one.endpoint_id)}>test the endpoint</a>, then
          replay it.
        </p>
      )}
    </div>
  )
}

function Actions({ one }: { one: Detail }) {
  const path = deliveryPath(one.event_id)
  const owed = one.state === 'pending' || one.state === 'delivering'
  if (!owed) {
    return (
      <form method="post" action={`${path}/replay`} class="actions">
        <button class={one.state === 'dead' ? 'primary' : ''}>Replay</button>
        <small>Delivers it again, under the same id, to the URL that is configured now.</small>
      </form>
    )
  }
  return (
    <details class="actions" id="discard">
      <summary>Discard…</summary>
      <form method="post" action={`${path}/discard`}>
        <label>
          Reason
          <input name="reason" maxlength={1_000} autocomplete="off" />
        </label>
        <button class="danger">Discard this event</button>
      </form>
    </details>
  )
}

function factsOf(one: Detail): Parameters<typeof Facts>[0]['facts'] {
  const filtered = (name: string, value: string | null) =>
    value === null ? null : (
      <a href={pathWith('/deliveries', { [name]: value })}>
        <Theirs text={value} />
      </a>
    )
  return [
    [
      'To',
      <a href={endpointPath(one.endpoint_id)}>
        <Theirs text={one.url} />
      </a>,
    ],
    ['Event id', <code>{one.event_id}</code>],
    ['Task', filtered('task_id', one.task_id)],
    ['Ticket', filtered('ticket_id', one.ticket_id)],
    ['Project', filtered('project_id', one.project_id)],
    ['Agent', one.agent_id === null ? null : <Theirs text={one.agent_id} />],
    ['Created', <Time at={one.created_at} />],
    [
      one.next_attempt_at !== null && Date.parse(one.next_attempt_at) < Date.now() ? 'Due' : 'Next attempt',
      one.next_attempt_at === null ? null : <Time at={one.next_attempt_at} />,
    ],
  ]
}

function Timeline({ attempts, sent }: { attempts: Attempt[]; sent: SentRequest }) {
  if (attempts.length === 0) return <Empty>Nothing was sent yet.</Empty>
  return (
    <ol class="timeline">
      {attempts.toReversed().map((one) => (
        <li class={one.error === null ? 'delivered' : 'dead'} data-key={`${one.attempt} ${one.started_at}`}>
          <p>
            <b>Attempt {one.attempt}</b> <Outcome one={one} />{' '}
            <span class="when">
              <Time at={one.started_at} />
              {one.duration_ms !== null && `, took ${milliseconds(one.duration_ms)}`}
            </span>
          </p>
          <details>
            <summary>Request and response</summary>
            <h3>Request</h3>
            <pre tabindex={0}>
              {[
                `POST ${sent.url}`,
                ...headersOf({ ...sent, attempt: one.attempt, at: one.started_at }).map((pair) =>
                  pair.join(': '),
                ),
              ].join('\n')}
            </pre>
            <h3>Response{one.status !== null && `: ${one.status}`}</h3>
            {one.response === null || one.response === '' ? (
              <Empty>{one.status === null ? 'There was none.' : 'It had no body.'}</Empty>
            ) : (
              <pre tabindex={0}>{one.response}</pre>
            )}
          </details>
        </li>
      ))}
    </ol>
  )
}

function Outcome({ one: { error, status } }: { one: Attempt }) {
  if (error === null) return <span>{status} delivered</span>
  return (
    <span class="bad">
      <Theirs text={error} />
    </span>
  )
}
