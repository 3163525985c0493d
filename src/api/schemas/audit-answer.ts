import { z } from 'zod'
import { shownTime } from './answer.ts'

export const auditEntry = z
  .object({
    id: z.string(),
    at: shownTime,
    actor: z.string().describe('Name of the token, or anonymous'),
    action: z.string().describe('Such as delivery.replay or endpoint.pause'),
    target: z.string().describe('Such as endpoints/<id>'),
    detail: z.looseObject({}),
  })
  .meta({ id: 'AuditEntry', description: 'What an operator did' })
