import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { Env } from './context.ts'
import { jsonText } from './json-text.ts'

/** Answers with JSON; unlike c.json, it takes RawJson. */
export function answer(
  c: Context<Env>,
  status: ContentfulStatusCode,
  value: unknown,
  headers: Record<string, string> = {},
): Response {
  return c.body(jsonText(value), status, { 'content-type': 'application/json', ...headers })
}

/**
 * A time of the database as the API shows it: ISO 8601, UTC, milliseconds. What has no such form (the driver gives
 * a number for an infinite time) counts as unknown.
 */
export function time(value: Date | number | null): string | null {
  if (!(value instanceof Date) || Number.isNaN(value.getTime())) return null
  const year = value.getUTCFullYear()
  return year >= 1 && year <= 9999 ? value.toISOString() : null
}

/** A count that may be a bigint in a host's table, which the driver gives as text. */
export function count(value: number | string | null): number | null {
  return value === null ? null : Number(value)
}
