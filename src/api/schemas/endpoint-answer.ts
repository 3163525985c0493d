import { z } from 'zod'
import { shownTime, unknownTime } from './answer.ts'

export const endpoint = z
  .object({
    id: z.uuid().describe('The endpoint_id of its events'),
    url: z.string().describe('Without query, fragment and credentials'),
    status: z.enum(['new', 'healthy', 'failing', 'open', 'probing', 'paused']),
    since: unknownTime.describe('Since when it has this status'),
    detail: z.string().describe('What it is doing and why, in words'),
    breaker: z.enum(['closed', 'open', 'probing']),
    failures: z.int().describe('Failures in a row'),
    next_probe_at: unknownTime,
    paused_at: unknownTime,
    paused_reason: z.string().nullable(),
    owed: z.int(),
    due: z.int(),
    waiting: z.int(),
    in_flight: z.int(),
    oldest_due_seconds: z.number().nullable().describe('How long the oldest due event has been due'),
    next_attempt_at: unknownTime,
    counted_at: shownTime.describe('As of when owed, due, waiting and in_flight hold'),
    slots: z
      .int()
      .nullable()
      .describe('How many deliveries may be in flight, which grows with success; null before the first'),
    slow: z.boolean().nullable(),
    last_success_at: unknownTime,
    last_failure_at: unknownTime,
    last_status: z.int().nullable(),
    last_error: z.string().nullable(),
    max_in_flight: z.int().nullable().describe('Its own limit; null for MAX_IN_FLIGHT_PER_ENDPOINT'),
    retry_schedule: z.array(z.string()).nullable().describe('Its own; null for RETRY_SCHEDULE'),
    timeout: z.string().nullable().describe('Its own; null for DELIVERY_TIMEOUT'),
    max_owed_age: z.string().nullable().describe('Its own; null for MAX_OWED_AGE'),
    header_names: z
      .array(z.string())
      .describe('Names of the headers that are sent to it; values are not shown'),
    signing_secrets: z
      .int()
      .describe(
        'How many secrets of its own its deliveries are signed with; 0: by those of a project, if any',
      ),
    created_at: unknownTime,
    used_at: unknownTime.describe('When the last attempt to it was settled'),
  })
  .meta({
    id: 'Endpoint',
    description: 'A URL without its query and fragment: its health, limits and what it is owed',
  })

export const endpointTest = z
  .object({
    event_id: z.uuid(),
    url: z.string(),
    delivered: z.boolean(),
    status: z.int().nullable(),
    duration_ms: z.int(),
    response: z.string().nullable().describe('The first 2 KiB of the answer'),
    error: z.string().nullable(),
    sent_at: shownTime,
  })
  .meta({
    id: 'EndpointTest',
    description: 'What became of one webhook.test, which was sent at once and not retried',
  })
