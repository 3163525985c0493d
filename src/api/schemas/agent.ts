import { z } from 'zod'
import { paging, parameter } from './query.ts'
import { newId, status, text } from './text.ts'

export function agentSchemas() {
  return {
    create: z
      .strictObject({ id: newId, agent_type: text({ max: 100, oneLine: true }).nullable(), status })
      .partial(),
    list: z.strictObject({
      agent_type: parameter().optional(),
      status: parameter().optional(),
      ...paging,
    }),
    stuck: z.strictObject({
      reason: text({ max: 1_000 }).describe('Why the agent is taken to be stuck: stuck_reason of the event'),
    }),
  }
}
