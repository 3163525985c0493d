import type { Child } from 'hono/jsx'
import type { AuditEntry, Page } from '../client/types.ts'
import { type EndpointBrief, endpointsById } from './about-endpoints.ts'
import { Choice, Text } from './fields.tsx'
import { type Filter, inWords } from './filter.ts'
import { here, page } from './layout.tsx'
import { apiOf, type PageContext, type PageServices } from './pages.ts'
import { Cell, Empty, Paging, pathWith, Region, Theirs, When } from './parts.tsx'
import { sentence } from './words.ts'

/** Who did what, and when: the API's audit. */
export async function auditPage(c: PageContext, services: PageServices) {
  const query = c.req.query()
  const given = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== ''))
  if (Object.keys(given).length < Object.keys(query).length) return c.redirect(pathWith('/audit', given), 303)
  const { items, next_cursor } = await apiOf(c, services).get<Page<AuditEntry>>('/audit', {
    limit: 50,
    ...given,
  })
  const endpoints = await endpointsById(services.db, endpointsOf(items))
  const filtered = Object.keys(given).some((name) => name !== 'cursor')
  return page(
    c,
    { title: 'Audit', section: '/audit', live: here(c) },
    <>
      <h1>Audit</h1>
      <p class="lead">What operators changed through this page and the API, newest first; kept for a year.</p>
      <form class="filter" method="get" action="/audit" aria-label="Filter">
        <Text name="actor" label="Who" value={given['actor']} />
        <Choice
          name="action"
          label="Did what"
          values={Object.keys(actions)}
          chosen={given['action']}
          names={actions}
        />
        <Text name="target" label="To what" value={given['target']} />
        <button>Filter</button>
        {filtered && <a href="/audit">Clear</a>}
      </form>
      <Region name="audit">
        <AuditTable
          entries={items}
          endpoints={endpoints}
          none={!filtered ? 'Nobody changed anything yet.' : 'Nothing that was done fits this filter.'}
        />
        <Paging path="/audit" query={given} next={next_cursor} />
      </Region>
    </>,
  )
}

/** The endpoints that something was done to, or to whose events. */
function endpointsOf(entries: AuditEntry[]): string[] {
  return entries.flatMap(({ target, detail }) => [
    ...(target.startsWith('endpoints/') ? [target.slice('endpoints/'.length)] : []),
    ...((detail['filter'] as Filter | undefined)?.endpoint_id ?? []),
  ])
}

type Endpoints = Map<string, EndpointBrief>

/**
 * @param endpoints by their ids, for their names
 * @param target whether to say to what it was done
 */
export function AuditTable({
  entries,
  endpoints,
  none,
  target = true,
}: {
  entries: AuditEntry[]
  endpoints: Endpoints
  none: string
  target?: boolean
}) {
  if (entries.length === 0) return <Empty>{none}</Empty>
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">When</th>
          <th scope="col">Who</th>
          <th scope="col">Did what</th>
          {target && <th scope="col">To what</th>}
          <th scope="col">Detail</th>
        </tr>
      </thead>
      <tbody>
        {entries.map((one) => (
          <tr data-key={one.id}>
            <th scope="row">
              <When at={one.at} />
            </th>
            <Cell label="Who">
              <Theirs text={one.actor} />
            </Cell>
            <Cell label="Did what" kind="full">
              {actions[one.action] ?? one.action}
            </Cell>
            {target && (
              <Cell label="To what" kind="full">
                <Target target={one.target} endpoints={endpoints} />
              </Cell>
            )}
            <Cell label="Detail" kind="full" empty={detailOf(one, endpoints) === ''}>
              <Theirs text={detailOf(one, endpoints)} />
            </Cell>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

/** What the API's names of actions mean. */
const actions: Record<string, string> = {
  'delivery.replay': 'Replayed an event',
  'delivery.discard': 'Discarded an event',
  'replays.start': 'Started a replay of many',
  'discards.start': 'Started a discard of many',
  'operation.cancel': 'Cancelled an operation',
  'endpoint.patch': 'Changed its settings',
  'endpoint.pause': 'Paused it',
  'endpoint.resume': 'Resumed it',
  'endpoint.test': 'Sent a test',
  'secret.add': 'Added a signing secret',
  'secret.remove': 'Removed a signing secret',
  'webhook_url.change': 'Changed its webhook_url',
  'installation.confirm': 'Confirmed the installation',
}

const pages = ['deliveries', 'endpoints', 'operations']

function Target({ target, endpoints }: { target: string; endpoints: Endpoints }): Child {
  const [kind = '', ...rest] = target.split('/')
  const id = rest.join('/')
  const known = kind === 'endpoints' ? endpoints.get(id)?.url : undefined
  const text = known ?? (id === '' ? target : `${kind.replace(/s$/, '').replace(/ie$/, 'y')} ${id}`)
  if (!pages.includes(kind) || id === '') return <Theirs text={text} />
  return (
    <a href={`/${kind}/${encodeURIComponent(id)}`}>
      <Theirs text={text} />
    </a>
  )
}

/** `Reason: tea time, rate: 7`: what was given with it. */
function detailOf({ detail }: AuditEntry, endpoints: Endpoints): string {
  const { filter, ...others } = detail
  const parts = Object.entries(others).map(([name, value]) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    return `${name.replaceAll('_', ' ')}: ${text}`
  })
  return sentence(
    [...(filter === undefined ? [] : [inWords(filter as Filter, endpoints)]), ...parts].join(', '),
  )
}
