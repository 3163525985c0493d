import { hash } from 'node:crypto'
import { isUuid } from '../api/schemas/delivery.ts'
import { parseDuration } from '../config.ts'
import type { Client } from '../client/client.ts'
import { UsageError, type Values } from './command.ts'
import { orNothing } from './or-nothing.ts'
import { program } from './program.ts'

/** What events can be selected by, as the API has it. */
export const filterOptions = {
  state: { type: 'string', value: 'state', help: 'pending, delivering, delivered, dead or discarded' },
  type: {
    type: 'string',
    value: 'event_type',
    help: 'task.completed, task.failed, agent.stuck, endpoint.failing or endpoint.recovered',
  },
  project: { type: 'string', value: 'id', help: 'events of this project' },
  ticket: { type: 'string', value: 'id', help: 'events of this ticket' },
  task: { type: 'string', value: 'id', help: 'events of this task' },
  endpoint: { type: 'string', value: 'id or url', help: 'events that go to this endpoint' },
  error: { type: 'string', value: 'text', help: 'a part of their last error' },
  from: {
    type: 'string',
    value: 'time',
    help: 'created then or later: 2026-01-31T14:30:00Z, 2026-01-31, or 2h ago as 2h',
  },
  to: { type: 'string', value: 'time', help: 'created before' },
} as const

/** Only what was given. The API checks the values. */
export function filtersOf(values: Values<typeof filterOptions>): Record<string, string> {
  const { state, type, project, ticket, task, endpoint, error, from, to } = values
  const filters = {
    state,
    event_type: type,
    project_id: project,
    ticket_id: ticket,
    task_id: task,
    endpoint_id: endpoint === undefined ? undefined : endpointId(endpoint),
    error,
    from: time(from),
    to: time(to),
  }
  return Object.fromEntries(
    Object.entries(filters).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
}

/** `2h` is two hours ago; everything else is left to the API. */
function time(given: string | undefined): string | undefined {
  const ms = given === undefined ? null : parseDuration(given)
  return ms === null ? given : new Date(Date.now() - ms).toISOString()
}

/**
 * An endpoint by its id, or by a URL of it: the id is a hash of the URL without query and fragment (see db/comments.ts).
 * @returns the id, of a URL as the API stores it
 * @throws UsageError where it is neither
 */
export function endpointId(given: string): string {
  if (isUuid(given)) return given.toLowerCase()
  const url = URL.parse(given)
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new UsageError(`"${given}" is no endpoint: give the id that ${program} endpoints lists, or its URL`)
  }
  return idOfUrl(url.href)
}

/**
 * The same, of a URL that SQL may have stored as it was written: `http://host` for what the API makes and shows as
 * `http://host/`. The first that there is, else as endpointId has it.
 */
export async function findEndpointId(client: Client, given: string): Promise<string> {
  const normal = endpointId(given)
  if (isUuid(given)) return normal
  const { href, origin, pathname } = new URL(given)
  const written = [given, href, ...(pathname === '/' ? [origin] : [])]
  const ids = new Set(written.map(idOfUrl))
  if (ids.size === 1) return normal
  for (const id of ids) {
    if ((await orNothing(client.getEndpoint(id))) !== undefined) return id
  }
  return normal
}

/** `filters` with the endpoint as findEndpointId has it. */
export async function withEndpoint<Filters extends object>(
  client: Client,
  given: string | undefined,
  filters: Filters,
): Promise<Filters> {
  if (given === undefined) return filters
  return { ...filters, endpoint_id: await findEndpointId(client, given) }
}

function idOfUrl(url: string): string {
  const digest = hash('md5', url.split(/[?#]/, 1)[0]!)
  return digest.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
