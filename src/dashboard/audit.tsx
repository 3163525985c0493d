import type { Child } from 'hono/jsx'
import type { AuditEntry, Page } from '../client/types.ts'
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
          none={!filtered ? 'Nobody changed anything yet.' : 'Nothing that was done fits this filter.'}
        />
        <Paging path="/audit" query={given} next={next_cursor} />
      </Region>
    </>,
  )
}

/** @param target whether to say to what it was done */
export function AuditTable({
  entries,
  none,
  target = true,
}: {
  entries: AuditEntry[]
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
                <Target target={one.target} />
              </Cell>
            )}
            <Cell label="Detail" kind="full" empty={detailOf(one) === ''}>
              <Theirs text={detailOf(one)} />
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

function Target({ target }: { target: string }): Child {
  const [kind = '', ...id] = target.split('/')
  const text = id.length === 0 ? target : `${kind.replace(/s$/, '').replace(/ie$/, 'y')} ${id.join('/')}`
  if (!pages.includes(kind) || id.length === 0) return <Theirs text={text} />
  return (
    <a href={`/${kind}/${encodeURIComponent(id.join('/'))}`}>
      <Theirs text={text} />
    </a>
  )
}

/** `reason: tea time, rate: 7`: what was given with it. */
function detailOf({ detail }: AuditEntry): string {
  const parts = Object.entries(detail).map(([name, value]) => {
    if (name === 'filter') return inWords(value as Filter)
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    return `${name.replaceAll('_', ' ')}: ${text}`
  })
  return sentence(parts.join(', '))
}
