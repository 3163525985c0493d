import { z } from 'zod'
import { formatDuration, leaseMarginMs, parseDuration } from '../../config.ts'
import { isUuid } from './delivery.ts'
import { paging } from './query.ts'
import { requestHeaders } from './request-headers.ts'
import { text, typeError } from './text.ts'

export const breakerStates = ['closed', 'open', 'probing'] as const

const yesOrNo = z
  .enum(['true', 'false'], { error: 'must be true or false' })
  .transform((value) => value === 'true')
  .optional()

export const endpointList = z
  .strictObject({
    breaker: z
      .enum(breakerStates, { error: `must be one of ${breakerStates.join(', ')}` })
      .optional()
      .describe('closed: deliveries flow; open: what is owed waits; probing: one delivery tries it'),
    paused: yesOrNo.describe('Only those that are paused, or that are not'),
    owed: yesOrNo.describe('Only those that events are owed to, or that none is owed to'),
    ...paging,
  })
  .superRefine((query, context) => {
    if (query.cursor === undefined || (query.cursor.createdAt !== null && isUuid(query.cursor.id))) return
    context.addIssue({
      code: 'custom',
      path: ['cursor'],
      message: 'must be the next_cursor of a page of this list',
    })
  })

export const endpointPause = z.strictObject({
  reason: text({ max: 1_000 }).optional().describe('Why: shown wherever it says that the endpoint is paused'),
})

const longest = 365 * 10 * 86_400_000
/** A duration as the environment has them (contract, section 6), in milliseconds. */
function duration({ example, most = longest }: { example: string; most?: number }) {
  return z
    .string({ error: typeError(`a duration such as "${example}"`) })
    .transform((value, context) => {
      const ms = parseDuration(value)
      if (ms !== null && ms > 0 && ms <= most) return ms
      context.addIssue(
        ms === null
          ? `must be a whole number and ms, s, m, h or d, such as "${example}"`
          : `must be more than 0 and at most ${formatDuration(most)}`,
      )
      return z.NEVER
    })
    .meta({ examples: [example] })
}

const countError = typeError('a whole number from 1 to 100000, or null')

/** What an operator may set for one endpoint instead of what the environment says; null goes back to that. */
export function endpointPatch({ leaseMs }: { leaseMs: number }) {
  return z
    .strictObject({
      max_in_flight: z
        .int({ error: countError })
        .min(1, { error: countError })
        .max(100_000, { error: countError })
        .nullable()
        .describe('Deliveries in flight to it, at most; null: MAX_IN_FLIGHT_PER_ENDPOINT'),
      retry_schedule: z
        .array(duration({ example: '1s' }), { error: typeError('an array of durations, or null') })
        .max(100, { error: 'must have at most 100 waits' })
        .nullable()
        .describe('The wait before each retry, [] for no retries; null: RETRY_SCHEDULE'),
      timeout: duration({ example: '5s', most: Math.max(leaseMs - leaseMarginMs, 1) })
        .nullable()
        .describe('The deadline of a whole exchange, at most LEASE - 2s; null: DELIVERY_TIMEOUT'),
      max_owed_age: duration({ example: '7d' })
        .nullable()
        .describe('How long an event is owed to it before it is discarded; null: MAX_OWED_AGE'),
      headers: requestHeaders
        .nullable()
        .describe(
          'Headers that each delivery carries, such as a token. They are merged by name, and null removes one; answers show their names only',
        ),
    })
    .partial()
}
