import { sql } from 'kysely'

/** SQL of the endpoint that a URL belongs to: the URL without its query and fragment. `url` is SQL, too. */
export function endpointUrl(url: string): string {
  return `split_part(split_part(${url}, '#', 1), '?', 1)`
}

/**
 * SQL of the endpoint's id: the MD5 of its URL, as a uuid. A hash because a URL of 2,048 multibyte characters does not fit
 * into a btree index.
 */
export function endpointIdOf(url: string): string {
  return `md5(${endpointUrl(url)})::uuid`
}

/** Type of a column endpoint_id beside a column url. */
export const endpointId = sql.raw(`uuid not null generated always as (${endpointIdOf('url')}) stored`)

/** SQL of how many deliveries of an endpoint dispatchers hold; `endpoint` is the alias of its row, `claims` that of its claims. */
export function inFlight(endpoint: string, claims: string): string {
  return `greatest(${claims}.claimed - ${endpoint}.settled, 0)::integer`
}
