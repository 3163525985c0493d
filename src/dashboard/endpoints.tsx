import type { Endpoint, Page } from '../client/types.ts'
import { duration } from '../words.ts'
import { here, page } from './layout.tsx'
import { apiOf, type PageContext, type PageServices } from './pages.ts'
import { Empty, EndpointState, endpointPath, Paging, Region, Theirs, Time } from './parts.tsx'
import { nextForEndpoint, number } from './words.ts'

const views = [
  ['All', ''],
  ['Owed', 'owed=true'],
  ['Not answering', 'breaker=open'],
  ['Paused', 'paused=true'],
] as const

export async function endpointsPage(c: PageContext, services: PageServices) {
  const query = c.req.query()
  const { items, next_cursor } = await apiOf(c, services).get<Page<Endpoint>>('/endpoints', {
    limit: 50,
    ...query,
  })
  const { cursor, ...filter } = query
  const view = cursor === undefined ? new URLSearchParams(filter).toString() : undefined
  return page(
    c,
    { title: 'Endpoints', section: '/endpoints', live: here(c) },
    <>
      <h1>Endpoints</h1>
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
          endpoints={items}
          none="There is none here: endpoints appear with their first event."
        />
        <Paging path="/endpoints" query={query} next={next_cursor} />
      </Region>
    </>,
  )
}

export function EndpointTable({ endpoints, none }: { endpoints: Endpoint[]; none: string }) {
  if (endpoints.length === 0) return <Empty>{none}</Empty>
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Endpoint</th>
          <th scope="col">State</th>
          <th scope="col" class="wide">
            Since
          </th>
          <th scope="col" class="number">
            Owed
          </th>
          <th scope="col" class="wide number">
            Oldest due
          </th>
          <th scope="col" class="wide">
            What next
          </th>
        </tr>
      </thead>
      <tbody>
        {endpoints.map((one) => (
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
            <td>
              <EndpointState status={one.status} />
              <small class="narrow">
                <Time at={one.since} none="" />
              </small>
            </td>
            <td class="wide">
              <Time at={one.since} />
            </td>
            <td class="number">{number(one.owed)}</td>
            <td class="wide number">
              {one.oldest_due_seconds === null ? '–' : duration(one.oldest_due_seconds)}
            </td>
            <td class="wide">{nextForEndpoint(one) ?? '–'}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
