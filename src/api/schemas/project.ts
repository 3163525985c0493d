import { z } from 'zod'
import type { RefuseUrl } from '../../delivery/webhook-url.ts'
import { unknownTime } from './answer.ts'
import { paging, parameter } from './query.ts'
import { newId, status, text } from './text.ts'
import { webhookUrl } from './webhook-url.ts'

export function projectSchemas(refuse?: RefuseUrl) {
  const columns = { name: text({ max: 500 }), status: status, webhook_url: webhookUrl(refuse) }
  return {
    create: z.strictObject({ id: newId, ...columns }).partial({ id: true, status: true, webhook_url: true }),
    patch: z.strictObject({ ...columns, name: columns.name.nullable() }).partial(),
    list: z.strictObject({ status: parameter().optional(), ...paging }),
  }
}

export const project = z
  .object({
    id: z.string(),
    name: z.string().nullable(),
    status: z.string().nullable(),
    webhook_url: z.string().nullable().describe('Where the events of its tickets are sent; null for nowhere'),
    created_at: unknownTime,
    updated_at: unknownTime,
  })
  .meta({ id: 'Project' })
