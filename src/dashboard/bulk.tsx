import type { Delivery, DryRun, Page } from '../client/types.ts'
import { type EndpointBrief, endpointsById } from './about-endpoints.ts'
import { type Filter, filterOf, inWords } from './filter.ts'
import { page } from './layout.tsx'
import { skipped } from './operations.tsx'
import { apiOf, type PageContext, type PageServices } from './pages.ts'
import { Empty, endpointPath, Facts, pathWith, Theirs } from './parts.tsx'
import { count, number, sentence, span } from './words.ts'

/** Events whose endpoints are looked at. */
const looked = 100
/** Endpoints that are named. */
const named = 5

export type Kind = 'replay' | 'discard'

/** What a replay or a discard of all that a filter selects would do, before anybody starts it. */
export async function bulkPage(c: PageContext, services: PageServices, kind: Kind) {
  const filter = filterOf(c.req.query())
  const api = apiOf(c, services)
  const run = await api.post<DryRun>(`/${kind}s`, { ...filter, dry_run: true })
  const sample = await api.get<Page<Delivery>>('/deliveries', { ...filter, limit: looked })
  const endpoints = await endpointsById(services.db, [...new Set(sample.items.map((one) => one.endpoint_id))])
  const name = `${sentence(kind)} ${count(run.matched, 'event')}`
  return page(
    c,
    { title: name, section: '/deliveries' },
    <>
      <h1>{name}?</h1>
      <Facts
        facts={[
          ['Selected', <bdi>{inWords(filter, endpoints)}</bdi>],
          ['They go to', endpoints.size === 0 ? null : <Receivers endpoints={endpoints} />],
          [
            'States',
            Object.entries(run.states)
              .map(([state, n]) => `${number(n)} ${state}`)
              .join(', ') || 'none',
          ],
          [
            'Left out',
            Object.entries(run.would_skip)
              .map(([reason, n]) => `${number(n)} ${skipped[reason] ?? reason}`)
              .join(', ') || 'none',
          ],
        ]}
      />
      {run.matched === 0 ? (
        <Empty>There is nothing to {kind}.</Empty>
      ) : (
        <StartForm kind={kind} filter={filter} matched={run.matched} />
      )}
      <p>
        <a href={pathWith('/deliveries', filter)}>Back to the deliveries</a>
      </p>
    </>,
  )
}

/** Of the newest of them: where most of them go, if not all. */
function Receivers({ endpoints }: { endpoints: Map<string, EndpointBrief> }) {
  const all = [...endpoints]
  return (
    <>
      {all.slice(0, named).map(([id, one]) => (
        <div>
          <a href={endpointPath(id)}>
            <Theirs text={one.url} />
          </a>
          {one.paused && ', which is paused: they wait'}
          {!one.paused && one.breaker !== 'closed' && ', which does not answer: they wait'}
        </div>
      ))}
      {all.length > named && <div>and others</div>}
    </>
  )
}

/** What is offered: slow enough for most receivers. */
const rate = 200

function StartForm({ kind, filter, matched }: { kind: Kind; filter: Filter; matched: number }) {
  return (
    <form method="post" action={`/bulk/${kind}`} class="stack">
      {Object.entries(filter).map(([name, value]) => (
        <input type="hidden" name={name} value={value} />
      ))}
      <label>
        Events a second at most
        <input name="rate" type="number" value={rate} min="1" max="10000" required />
        At {rate} a second it takes {span(Math.max(1, matched / rate))}.
      </label>
      {kind === 'discard' && (
        <label>
          Reason
          <input name="reason" maxlength={1_000} autocomplete="off" />
        </label>
      )}
      <button class={kind === 'discard' ? 'danger' : 'primary'}>
        {sentence(kind)} {count(matched, 'event')}
      </button>
      <small>
        {kind === 'replay'
          ? 'Each is delivered again under its own id, to the URL that is configured now. '
          : 'They are not sent any more; each can be replayed later. '}
        What comes after this moment is not touched.
      </small>
    </form>
  )
}
