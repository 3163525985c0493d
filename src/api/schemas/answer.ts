import { z } from 'zod'

/** What answers are made of. They document (see src/api/openapi), and tests hold the answers against them. */

/** As `time` shows it: UTC with milliseconds. */
export const shownTime = z.iso.datetime({ precision: 3 })
export const unknownTime = shownTime.nullable()

/** A page of a list, newest first. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item).describe('Newest first'),
    next_cursor: z
      .string()
      .nullable()
      .describe('Give it as cursor for the next page; null where this is the last one'),
  })
}
