import { deliveryFilters } from '../api/schemas/delivery.ts'

export const filterNames = Object.keys(deliveryFilters) as (keyof typeof deliveryFilters)[]

/** The filters of the list of deliveries, as its URL has them. */
export type Filter = { [Name in keyof typeof deliveryFilters]?: string }

const withoutZone = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?$/

/** Drops what is empty; a time without a zone, as a browser's field gives it, is UTC. */
export function tidy(given: Record<string, string>): Filter & Record<string, string> {
  const entries = Object.entries(given).filter(([, value]) => value !== '')
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name,
      (name === 'from' || name === 'to') && withoutZone.test(value) ? `${value}Z` : value,
    ]),
  )
}

/** The filters only, for what has other fields besides. */
export function filterOf(given: Record<string, string>): Filter & Record<string, string> {
  return tidy(
    Object.fromEntries(filterNames.flatMap((name) => (name in given ? [[name, given[name]!]] : []))),
  )
}

const words: Record<keyof typeof deliveryFilters, string> = {
  state: 'state',
  event_type: 'event',
  project_id: 'project',
  ticket_id: 'ticket',
  task_id: 'task',
  endpoint_id: 'to',
  error: 'error contains',
  from: 'created from',
  to: 'created before',
}

/**
 * `state dead, task task-1`; `everything` without a filter.
 * @param endpoints by their ids, for their names
 */
export function inWords(filter: Filter, endpoints?: Map<string, { url: string }>): string {
  const parts = filterNames.flatMap((name) => {
    const value = filter[name]
    if (value === undefined) return []
    const known = name === 'endpoint_id' ? endpoints?.get(value.toLowerCase())?.url : undefined
    return [`${words[name]} ${known ?? (name === 'endpoint_id' ? `endpoint ${value}` : value)}`]
  })
  return parts.join(', ') || 'everything'
}
