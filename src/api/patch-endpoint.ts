import { type RawBuilder, sql, type Transaction } from 'kysely'
import type { z } from 'zod'
import { formatDuration } from '../config.ts'
import type { Database } from '../database/tables.ts'
import { invalid } from './problem.ts'
import { recordChange } from './record-change.ts'
import type { endpointPatch } from './schemas/endpoint.ts'
import { type HeaderPatch, isTooMany, tooMany } from './schemas/request-headers.ts'

export type EndpointPatch = z.output<ReturnType<typeof endpointPatch>>

/**
 * Sets an endpoint's own limits and headers, in a row that exists.
 * @throws Problem 422 where the headers that it has and those of the patch are too many together
 */
export async function patchEndpoint(
  trx: Transaction<Database>,
  actor: string,
  id: string,
  patch: EndpointPatch,
): Promise<void> {
  const assignments = assignmentsOf(patch)
  if (assignments.length === 0) return
  const { rows } = await sql<{ headers: number }>`
    update webhook_endpoints set ${sql.join(assignments)} where id = ${id}::uuid
    returning (select count(*)::integer from jsonb_object_keys(headers)) as headers`.execute(trx)
  if (isTooMany(rows[0]!.headers)) {
    throw invalid([{ pointer: '#/headers', detail: `${tooMany} with those that it has: remove some` }])
  }
  await recordChange(trx, actor, {
    action: 'endpoint.patch',
    target: `endpoints/${id}`,
    detail: toDetail(patch),
  })
}

function assignmentsOf(patch: EndpointPatch): RawBuilder<unknown>[] {
  const { max_in_flight, retry_schedule, timeout, max_owed_age, headers } = patch
  const interval = (ms: number | null) => sql`${ms}::float8 * interval '1 ms'`
  const assignments: RawBuilder<unknown>[] = []
  if (max_in_flight !== undefined) assignments.push(sql`max_in_flight = ${max_in_flight}`)
  if (retry_schedule === null) assignments.push(sql`retry_schedule = null`)
  else if (retry_schedule !== undefined) {
    assignments.push(sql`retry_schedule = array(
      select wait * interval '1 ms' from unnest(${retry_schedule}::float8[]) with ordinality waits (wait, n) order by n)`)
  }
  if (timeout !== undefined) assignments.push(sql`timeout = ${interval(timeout)}`)
  if (max_owed_age !== undefined) assignments.push(sql`max_owed_age = ${interval(max_owed_age)}`)
  if (headers === null) assignments.push(sql`headers = null`)
  else if (headers !== undefined) {
    assignments.push(sql`headers = nullif(
      jsonb_strip_nulls(coalesce(headers, '{}') || ${JSON.stringify(headers)}::jsonb), '{}')`)
  }
  return assignments
}

/** As it was sent, but of the headers their names. */
function toDetail({ headers, timeout, max_owed_age, retry_schedule, ...rest }: EndpointPatch): object {
  const duration = (ms: number | null) => (ms === null ? null : formatDuration(ms))
  return {
    ...rest,
    ...(retry_schedule === undefined ? {} : { retry_schedule: retry_schedule?.map(formatDuration) ?? null }),
    ...(timeout === undefined ? {} : { timeout: duration(timeout) }),
    ...(max_owed_age === undefined ? {} : { max_owed_age: duration(max_owed_age) }),
    ...(headers === undefined ? {} : { headers: headers === null ? null : namesOf(headers) }),
  }
}

function namesOf(headers: HeaderPatch): { set: string[]; removed: string[] } {
  const names = (removed: boolean) =>
    Object.keys(headers)
      .filter((name) => (headers[name] === null) === removed)
      .sort()
  return { set: names(false), removed: names(true) }
}
