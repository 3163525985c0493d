import { z } from 'zod'
import { shownTime, unknownTime } from './answer.ts'

const counts = z.record(z.string(), z.int())

export const operation = z
  .object({
    id: z.uuid(),
    kind: z.enum(['replay', 'discard']),
    state: z.enum(['queued', 'running', 'done', 'cancelled', 'failed']),
    filter: z.record(z.string(), z.string()).describe('What it was started with'),
    reason: z.string().nullable().describe('Why its events are discarded, as who started it gave it'),
    matched: z.int().describe('How many events the filters selected when it was started'),
    done: z.int(),
    skipped: z.int(),
    skipped_reasons: counts.describe('How many were skipped, by the reason'),
    rate: z.int().describe('Events a second'),
    requested_by: z.string().describe('Name of the token, or anonymous'),
    created_at: shownTime,
    started_at: unknownTime,
    finished_at: unknownTime,
    error: z.string().nullable(),
  })
  .meta({
    id: 'Operation',
    description: 'A replay or a discard of many events, which a dispatcher carries out',
  })

/** What a dry run would do. */
export const dryRun = z.object({
  matched: z.int(),
  dry_run: z.literal(true),
  states: counts.describe('How many, by their state'),
  would_skip: counts.describe('How many of them would be skipped, by the reason'),
})

export const started = z.object({ matched: z.int(), dry_run: z.literal(false), operation })
