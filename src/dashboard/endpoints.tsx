import type { Endpoint, Page } from '../client/types.ts'
import { projectsWaitingFor } from './about-endpoints.ts'
import { here, page } from './layout.tsx'
import { apiOf, type PageContext, type PageServices } from './pages.ts'
import { Cell, Empty, EndpointState, endpointPath, Paging, Region, Theirs, When } from './parts.tsx'
import { few, nextForEndpoint, number, span } from './words.ts'

const views = [
  ['All', ''],
  ['Owed something', 'owed=true'],
  ['Not answering', 'breaker=open'],
  ['Paused', 'paused=true'],
] as const

export async function endpointsPage(c: PageContext, services: PageServices) {
  const query = c.req.query()
  const { items, next_cursor } = await apiOf(c, services).get<Page<Endpoint>>('/endpoints', {
    limit: 50,
    ...query,
  })
  const waiting = await projectsWaitingFor(
    services.db,
    items.filter(inTrouble).map(({ id }) => id),
  )
  const { cursor, ...filter } = query
  const view = cursor === undefined ? new URLSearchParams(filter).toString() : undefined
  return page(
    c,
    { title: titleOf(items), section: '/endpoints', live: here(c) },
    <>
      <h1>Endpoints</h1>
      <p class="lead">Where events go: each URL, without its query. Those in trouble stand first.</p>
      <nav class="views" aria-label="Views">
        {views.map(([name, search]) => (
          <a
            href={search === '' ? '/endpoints' : `/endpoints?${search}`}
            aria-current={search === view ? 'page' : undefined}
          >
            {name}
          </a>
        ))}
      </nav>
      <Region name="endpoints">
        <EndpointTable
          endpoints={items.toSorted((a, b) => gravity(a) - gravity(b) || b.owed - a.owed)}
          waiting={waiting}
          none="There is none here: endpoints appear with their first event."
        />
        <Paging path="/endpoints" query={query} next={next_cursor} />
      </Region>
    </>,
  )
}

/** For the tab: how many of those on the page do not answer. */
function titleOf(endpoints: Endpoint[]): string {
  const silent = endpoints.filter(({ status }) => status === 'open' || status === 'probing').length
  return silent === 0 ? 'Endpoints' : `Endpoints: ${silent} not answering`
}

/** As the overview orders them; pages of the list are by age, and what stands on one is ordered so. */
function gravity({ status }: Endpoint): number {
  return ['open', 'probing', 'paused', 'failing', 'new', 'healthy'].indexOf(status)
}

function inTrouble({ status }: Endpoint): boolean {
  return status !== 'healthy' && status !== 'new'
}

/** @param waiting the projects that wait for each, by its id */
export function EndpointTable({
  endpoints,
  waiting,
  none,
}: {
  endpoints: Endpoint[]
  waiting: Map<string, string[]>
  none: string
}) {
  if (endpoints.length === 0) return <Empty>{none}</Empty>
  return (
    <table class="stacked">
      <thead>
        <tr>
          <th scope="col">Endpoint</th>
          <th scope="col">State</th>
          <th scope="col">Since</th>
          <th scope="col" class="number">
            Owed
          </th>
          <th scope="col">Who waits</th>
          <th scope="col">What next</th>
        </tr>
      </thead>
      <tbody>
        {endpoints.map((one) => (
          <EndpointRow one={one} projects={waiting.get(one.id) ?? []} />
        ))}
      </tbody>
    </table>
  )
}

function EndpointRow({ one, projects }: { one: Endpoint; projects: string[] }) {
  const next = nextForEndpoint(one)
  return (
    <tr data-key={one.id}>
      <th scope="row">
        <a href={endpointPath(one.id)}>
          <Theirs text={one.url} />
        </a>
        {one.failures > 0 && (
          <small>
            <Theirs text={one.last_error} />
          </small>
        )}
        {one.paused_at !== null && (
          <small>
            <Theirs text={one.paused_reason} />
          </small>
        )}
      </th>
      <Cell label="State">
        <EndpointState status={one.status} />
      </Cell>
      <Cell label="Since" kind="full" empty={one.since === null}>
        <When at={one.since} />
      </Cell>
      <Cell label="Owed" kind="number full">
        {number(one.owed)}{' '}
        {one.oldest_due_seconds !== null && one.oldest_due_seconds >= 1 && (
          <small>for {span(one.oldest_due_seconds)}</small>
        )}
      </Cell>
      <Cell label="Who waits" kind="full" empty={projects.length === 0}>
        <Theirs text={few(projects)} />
      </Cell>
      <Cell label="Next" kind="full" empty={next === undefined}>
        {next}
      </Cell>
    </tr>
  )
}
