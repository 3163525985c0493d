import { z } from 'zod'
import type { RefuseUrl } from '../../delivery/webhook-url.ts'
import { unknownTime } from './answer.ts'
import { paging, parameter } from './query.ts'
import { newId, reference, status, text } from './text.ts'
import { webhookUrl } from './webhook-url.ts'

export function ticketSchemas(refuse?: RefuseUrl) {
  const columns = {
    project_id: reference.nullable(),
    title: text({ max: 500 }),
    status,
    webhook_url: webhookUrl(refuse).describe(
      "Where the events of this ticket's tasks are sent, instead of the project's URL; null for that one",
    ),
  }
  return {
    create: z
      .strictObject({ id: newId, ...columns })
      .partial({ id: true, project_id: true, status: true, webhook_url: true }),
    patch: z.strictObject({ ...columns, title: columns.title.nullable() }).partial(),
    list: z.strictObject({ project_id: parameter().optional(), status: parameter().optional(), ...paging }),
  }
}

export const ticket = z
  .object({
    id: z.string(),
    project_id: z.string().nullable(),
    title: z.string().nullable(),
    status: z.string().nullable(),
    webhook_url: z.string().nullable().describe("Wins over the project's; null for that one"),
    created_at: unknownTime,
    updated_at: unknownTime,
  })
  .meta({ id: 'Ticket' })
