import { z } from 'zod'
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
