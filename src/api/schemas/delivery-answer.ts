import { z } from 'zod'
import { pageOf, shownTime, unknownTime } from './answer.ts'
import { deliveryStates } from './delivery.ts'

export const waitingReasons = [
  'delivering',
  'due',
  'backing_off',
  'paused',
  'breaker_open',
  'at_capacity',
  'no_dispatcher',
  'other_installation',
] as const

const fields = {
  event_id: z.uuid().describe('The same on every attempt and replay: the webhook-id header'),
  event_type: z.string(),
  entity_type: z.string(),
  entity_id: z.string(),
  project_id: z.string().nullable(),
  ticket_id: z.string().nullable(),
  task_id: z.string().nullable(),
  agent_id: z.string().nullable(),
  url: z.string().describe('Where it goes, without query, fragment and credentials'),
  endpoint_id: z.uuid(),
  state: z.enum(deliveryStates),
  attempts: z.int().describe('Attempts begun'),
  next_attempt_at: unknownTime.describe('Not sent before this time; null where it is settled'),
  last_status: z.int().nullable().describe('HTTP status of the last attempt; null where there was no answer'),
  last_error: z.string().nullable().describe('Why the last attempt did not deliver, or why it was given up'),
  created_at: unknownTime,
  settled_at: unknownTime.describe('When it was delivered or given up; null while it is owed'),
}

export const delivery = z
  .object(fields)
  .meta({ id: 'Delivery', description: 'What became of an event, without its payload' })

export const deliveryPage = pageOf(delivery)

export const attempt = z
  .object({
    attempt: z.int().describe('From 1: the webhook-attempt header'),
    started_at: shownTime,
    duration_ms: z.int().nullable().describe('Of the whole exchange; null where its dispatcher died'),
    status: z.int().nullable().describe('HTTP status of the answer; null where there was none'),
    error: z.string().nullable().describe('Why it did not deliver; null where it did'),
    response: z.string().nullable().describe('The first 2 KiB of the answer'),
  })
  .meta({ id: 'Attempt' })

export const deliveryDetail = z
  .object({
    ...fields,
    waiting: z
      .object({
        reason: z.enum(waitingReasons),
        since: unknownTime.describe('Since when, where that is known'),
        until: unknownTime.describe('Until when, where that is known'),
        detail: z.string().describe('The reason in words'),
      })
      .nullable()
      .describe('Why it has not been delivered yet; null where it is settled'),
    payload: z.looseObject({}).describe('The body that receivers get: see webhooks'),
    attempt_log: z.array(attempt).describe('Every attempt that is kept, from the first'),
  })
  .meta({ id: 'DeliveryDetail', description: 'An event with its payload, why it waits, and every attempt' })

export const replayed = z.object({
  matched: z.literal(1),
  event_id: z.uuid(),
  endpoint_id: z.uuid().describe('Where it goes now'),
})

export const discarded = z.object({ matched: z.literal(1), event_id: z.uuid() })
