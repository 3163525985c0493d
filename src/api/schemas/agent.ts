import { z } from 'zod'
import { shownTime, unknownTime } from './answer.ts'
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
      stuck: z
        .enum(['true', 'false'], { error: 'must be true or false' })
        .optional()
        .describe('Only those with an open episode, or those without'),
      ...paging,
    }),
    stuck: z.strictObject({
      reason: text({ max: 1_000 }).describe('Why the agent is taken to be stuck: stuck_reason of the event'),
    }),
  }
}

export const agent = z
  .object({
    id: z.string(),
    agent_type: z.string().nullable(),
    status: z.string().nullable(),
    last_heartbeat: unknownTime,
    stuck: z
      .object({ reason: z.string(), started_at: unknownTime })
      .nullable()
      .describe('The episode that is open; null where the agent is not stuck'),
    created_at: unknownTime,
    updated_at: unknownTime,
  })
  .meta({ id: 'Agent' })

export const stuckEpisode = z
  .object({
    agent_id: z.string(),
    reason: z.string(),
    started_at: shownTime,
    ended_at: unknownTime,
  })
  .meta({ id: 'StuckEpisode', description: 'A time for which an agent is taken to be stuck' })
