import { zValidator } from '@hono/zod-validator'
import type { z } from 'zod'
import { type FieldError, invalid, pointer } from './problem.ts'

/**
 * Checks the JSON body (after `jsonBody`) or the query against a strict schema: 422 with everything that is wrong.
 * A query parameter is pointed to as a property is: `#/limit`.
 */
export function valid<Target extends 'json' | 'query', Schema extends z.ZodObject>(
  target: Target,
  schema: Schema,
) {
  return zValidator(target, schema, (result) => {
    if (result.success) return
    const known = Object.keys(schema.shape)
    throw invalid(result.error.issues.flatMap((issue) => toFieldErrors(issue, target, known)))
  })
}

function toFieldErrors(
  issue: z.core.$ZodIssue,
  target: 'json' | 'query',
  known: readonly string[],
): FieldError[] {
  if (issue.code === 'unrecognized_keys') {
    const what = target === 'json' ? 'property' : 'query parameter'
    const detail = `is not a ${what} here: remove it (there are ${known.join(', ')})`
    return issue.keys.map((key) => ({ pointer: pointer([...issue.path, key]), detail }))
  }
  if (issue.path.length === 0 && issue.code === 'invalid_type') {
    return [{ pointer: '#', detail: 'must be a JSON object' }]
  }
  return [{ pointer: pointer(issue.path), detail: issue.message }]
}
