import { z } from 'zod'
import { decodeCursor } from '../cursor.ts'
import { text } from './text.ts'

// A parameter that is given twice comes as an array.
export const parameter = (max = 1_000) => text({ max, oneLine: true })

const limit = z
  .string({ error: 'must be one string' })
  .refine((value) => /^(?:[1-9]\d?|100)$/.test(value), { error: 'must be a whole number from 1 to 100' })
  .transform(Number)
  .default(50)
  // What the text must be.
  .meta({ type: 'integer', minimum: 1, maximum: 100 })
  .describe('How many items a page has at most: 1 to 100, or else 50')

const cursor = z
  .string({ error: 'must be one string' })
  .transform((value, context) => {
    const decoded = decodeCursor(value)
    if (decoded !== undefined) return decoded
    context.addIssue('must be the next_cursor of a page before, as it was given')
    return z.NEVER
  })
  .optional()
  .describe("The page before's next_cursor")

/** What every list takes. */
export const paging = { cursor, limit }

const moment = /^\d{4}-\d\d-\d\d(?:[Tt]\d\d:\d\d(?::\d\d(?:\.(\d{1,9}))?)?(?:[Zz]|[+-]\d\d:\d\d))?$/

/** A time as ISO 8601, or a day, which begins at midnight UTC; to the microsecond, as Postgres keeps it. */
export const timeParameter = z.string({ error: 'must be one string' }).transform((value, context) => {
  const fraction = moment.exec(value)
  const parsed = new Date(value)
  const day = new Date(`${value.slice(0, 10)}T00:00:00Z`)
  if (
    fraction !== null &&
    isPlain(parsed) &&
    isPlain(day) &&
    day.toISOString().startsWith(value.slice(0, 10))
  ) {
    return parsed.toISOString().replace('Z', `${(fraction[1] ?? '').slice(3, 6)}Z`)
  }
  context.addIssue(
    'must be a time such as 2026-01-31T14:30:00Z (a plus sign is written %2B), or a day such as 2026-01-31',
  )
  return z.NEVER
})

function isPlain(date: Date): boolean {
  const year = date.getUTCFullYear()
  return year >= 1 && year <= 9999
}
