import { deliveryDetail } from '../api/deliveries.ts'
import { notFound } from '../api/problem.ts'
import type { Attempt } from '../client/types.ts'
import { Timeline } from './attempts.tsx'
import { curlOf, type SentRequest } from './curl.ts'
import { Answer, comesBack, type Detail } from './delivery-answer.tsx'
import { here, page } from './layout.tsx'
import type { PageContext, PageServices } from './pages.ts'
import { deliveryPath, endpointPath, Facts, pathWith, Region, State, Theirs, Time } from './parts.tsx'
import { sentence } from './words.ts'

export async function deliveryPage(c: PageContext, services: PageServices, id: string) {
  const one = await deliveryDetail(services.db, id, {
    perEndpoint: services.limits.maxInFlightPerEndpoint,
    installation: services.installation,
  })
  if (one === undefined) throw notFound('delivery')
  const sent = requestOf(one, services.version)
  const back = one.state === 'dead' ? await comesBack(services, one) : undefined
  return page(
    c,
    {
      title: `${sentence(one.state)}: ${one.event_type} ${one.task_id ?? one.entity_id}`,
      section: '/deliveries',
      live: here(c),
    },
    <>
      <Region name="delivery">
        <h1>
          {one.event_type} <Theirs text={one.task_id ?? one.entity_id} /> <State state={one.state} />
        </h1>
        <Answer one={one} back={back} recoverWindowMs={services.limits.recoverWindowMs} />
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

function Actions({ one }: { one: Detail }) {
  const path = deliveryPath(one.event_id)
  const owed = one.state === 'pending' || one.state === 'delivering'
  if (!owed) {
    return (
      <form method="post" action={`${path}/replay`} class="actions">
        <button class={one.state === 'dead' ? 'primary' : ''}>Replay</button>
        <small>Sends it again now, under the same id, to the URL that is configured now.</small>
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
    ['Event id (webhook-id)', <code>{one.event_id}</code>],
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
