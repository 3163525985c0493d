import { type Kysely, sql } from 'kysely'
import { endpointUrl } from '../../db/endpoint.ts'
import { withoutSecrets } from '../api/without-secrets.ts'
import type { Database } from '../database/tables.ts'
import { Cell, endpointPath, pathWith, Theirs, When } from './parts.tsx'
import { few, number } from './words.ts'

/** The newest that are looked at: enough to say what is wrong now, and few whatever has died. */
export const looked = 1_000
const shown = 8

/** Events that died of one thing. */
export interface Deaths {
  endpoint_id: string
  /** Without query, fragment and credentials. */
  url: string
  error: string | null
  events: number
  projects: string[]
  first: string | null
  last: string | null
}

/** What the newest dead events of the last day died of, the most frequent first. */
export async function deathsOfLastDay(db: Kysely<Database>): Promise<{ deaths: Deaths[]; total: number }> {
  const { rows } = await sql<Deaths & { total: number }>`
    with newest as (
      select endpoint_id, ${sql.raw(endpointUrl('url'))} as url, last_error, project_id, settled_at from webhook_history
      where outcome = 'dead' and created_at > now() - interval '24 hours' and created_at < 'infinity'
      order by created_at desc limit ${looked}
    )
    select endpoint_id, min(url) as url, last_error as error, count(*)::integer as events,
      array_remove(array_agg(distinct project_id), null) as projects, webhook_time(min(settled_at)) as first, webhook_time(max(settled_at)) as last,
      (sum(count(*)) over ())::integer as total
    from newest group by endpoint_id, last_error
    order by events desc, endpoint_id, error limit ${shown}`.execute(db)
  const deaths = rows.map((row) => ({ ...row, url: withoutSecrets(row.url) }))
  return { deaths, total: rows[0]?.total ?? 0 }
}

export function DeathTable({ deaths }: { deaths: Deaths[] }) {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Why</th>
          <th scope="col">To</th>
          <th scope="col" class="number">
            Events
          </th>
          <th scope="col">Project</th>
          <th scope="col">First</th>
          <th scope="col">Last</th>
        </tr>
      </thead>
      <tbody>
        {deaths.map((one) => (
          <tr data-key={`${one.endpoint_id} ${one.error}`}>
            <th scope="row">
              <a href={pathWith('/deliveries', filterOf(one))}>
                <Theirs text={one.error} none="no reason was given" />
              </a>
            </th>
            <Cell label="To" kind="full">
              <a href={endpointPath(one.endpoint_id)}>
                <Theirs text={one.url} />
              </a>
            </Cell>
            <Cell label="Events" kind="number">
              {number(one.events)}
            </Cell>
            <Cell label="Project" empty={one.projects.length === 0}>
              <Theirs text={few(one.projects)} />
            </Cell>
            <Cell label="First" kind="full">
              <When at={one.first} />
            </Cell>
            <Cell label="Last" kind="full">
              <When at={one.last} />
            </Cell>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function filterOf({ endpoint_id, error }: Deaths): Record<string, string> {
  return { state: 'dead', endpoint_id, ...(error === null || error === '' ? {} : { error }) }
}
