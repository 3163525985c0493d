import { z } from 'zod'
import { deliveryFilters, discardReason, isUuid } from './delivery.ts'
import { paging } from './query.ts'
import { typeError } from './text.ts'

export const operationStates = ['queued', 'running', 'done', 'cancelled', 'failed'] as const
export const operationKinds = ['replay', 'discard'] as const

const one = <const Values extends readonly [string, ...string[]]>(values: Values) =>
  z.enum(values, { error: `must be one of ${values.join(', ')}` })

export const operationList = z
  .strictObject({ state: one(operationStates).optional(), kind: one(operationKinds).optional(), ...paging })
  .superRefine(({ cursor }, context) => {
    if (cursor === undefined || (cursor.createdAt !== null && isUuid(cursor.id))) return
    context.addIssue({
      code: 'custom',
      path: ['cursor'],
      message: 'must be the next_cursor of a page of this list',
    })
  })

const sharedFilters = z.strictObject(deliveryFilters).omit({ state: true }).shape
const rateError = typeError('a whole number from 1 to 10000')

const options = {
  dry_run: z
    .boolean({ error: typeError('true or false') })
    .default(true)
    .describe('Only says how many events the filters select, and changes nothing'),
  all: z
    .literal(true, { error: 'must be true, or absent' })
    .optional()
    .describe('Takes all there is: needed where dry_run is false and there is no filter'),
  rate: z
    .int({ error: rateError })
    .min(1, { error: rateError })
    .max(10_000, { error: rateError })
    .default(200)
    .describe('Events a second, at most'),
}

/** Selects what is settled, by the filters of GET /api/v1/deliveries. */
export const replayRequest = guarded(
  z.strictObject({
    state: z
      .enum(['delivered', 'dead', 'discarded'], {
        error: 'must be delivered, dead or discarded: what is owed is not replayed',
      })
      .optional(),
    ...sharedFilters,
    ...options,
  }),
)

/** Selects what is owed, by the filters of GET /api/v1/deliveries. */
export const discardRequest = guarded(
  z.strictObject({
    state: z
      .enum(['pending', 'delivering'], {
        error: 'must be pending or delivering: only what is owed can be discarded',
      })
      .optional(),
    ...sharedFilters,
    ...options,
    reason: discardReason,
  }),
)

/** A filter that was forgotten must not replay, or give up, everything. */
function guarded<Shape extends z.ZodRawShape>(schema: z.ZodObject<Shape, z.core.$strict>) {
  return schema.superRefine((body, context) => {
    const { all, dry_run } = body as { all?: true; dry_run: boolean }
    const filtered = Object.keys(deliveryFilters).some((name) => name in (body as object))
    if (filtered && all === true) {
      context.addIssue({
        code: 'custom',
        path: ['all'],
        message: 'must not stand beside filters: remove one of them',
      })
    } else if (!filtered && all !== true && !dry_run) {
      context.addIssue({
        code: 'custom',
        path: [],
        message: 'selects everything: give a filter, or say "all": true',
      })
    }
  })
}
