import { z } from 'zod'
import { paging, parameter, timeParameter } from './query.ts'
import { text } from './text.ts'

export const deliveryStates = ['pending', 'delivering', 'delivered', 'dead', 'discarded'] as const

const uuidForm = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i

export function isUuid(value: string): boolean {
  return uuidForm.test(value)
}

/** What deliveries can be selected by. */
export const deliveryFilters = {
  state: z.enum(deliveryStates, { error: `must be one of ${deliveryStates.join(', ')}` }).optional(),
  event_type: parameter().optional(),
  project_id: parameter().optional(),
  ticket_id: parameter().optional(),
  task_id: parameter().optional(),
  endpoint_id: z
    .string({ error: 'must be one string' })
    .refine(isUuid, { error: 'must be a UUID' })
    .optional(),
  error: parameter().optional().describe('A part of last_error, in upper or lower case'),
  from: timeParameter.optional().describe('Created at this time or later'),
  to: timeParameter.optional().describe('Created before this time'),
}

export const deliveryList = z
  .strictObject({ ...deliveryFilters, ...paging })
  .superRefine((query, context) => {
    if (query.cursor === undefined) return
    if (query.cursor.createdAt === null || !isUuid(query.cursor.id)) {
      context.addIssue({
        code: 'custom',
        path: ['cursor'],
        message: 'must be the next_cursor of a page of this list',
      })
    }
  })

export const discardReason = text({ max: 1_000 })
  .optional()
  .describe('Why, for the last_error of what is discarded')

export const deliveryDiscard = z.strictObject({ reason: discardReason })
