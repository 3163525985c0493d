import { z } from 'zod'
import { unknownTime } from './answer.ts'
import { jsonValue } from './json-value.ts'
import { paging, parameter } from './query.ts'
import { newId, reference, status, text, typeError } from './text.ts'

const largest = 2_147_483_647
const error = typeError(`a whole number from 0 to ${largest}`)
const count = z.int({ error }).min(0, { error }).max(largest, { error })

export function taskSchemas() {
  const columns = {
    ticket_id: reference.nullable(),
    title: text({ max: 500 }),
    status: status.describe('completed and failed are sent as events, when an existing task changes to them'),
    assigned_agent_id: reference.nullable(),
    result: jsonValue.describe('Any JSON; its strings result and output_summary go into the event'),
    error_message: text({ max: 65_536, blank: true }).nullable(),
    retry_count: count,
    max_retries: count,
  }
  return {
    create: z.strictObject({
      id: newId.optional(),
      ...z.strictObject(columns).partial().shape,
      title: columns.title,
    }),
    patch: z.strictObject({ ...columns, title: columns.title.nullable() }).partial(),
    list: z.strictObject({
      ticket_id: parameter().optional(),
      status: parameter().optional(),
      assigned_agent_id: parameter().optional(),
      ...paging,
    }),
  }
}

export const task = z
  .object({
    id: z.string(),
    ticket_id: z.string().nullable(),
    title: z.string().nullable(),
    status: z.string().nullable(),
    assigned_agent_id: z.string().nullable(),
    result: z.unknown().describe('Any JSON, as it is stored'),
    error_message: z.string().nullable(),
    retry_count: z.number().nullable(),
    max_retries: z.number().nullable(),
    started_at: unknownTime,
    completed_at: unknownTime,
    created_at: unknownTime,
    updated_at: unknownTime,
  })
  .meta({ id: 'Task' })
