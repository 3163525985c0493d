import { z } from 'zod'

/**
 * The body of a webhook (contract, section 2), as receivers may rely on it.
 *
 * Postgres builds it when the change is made (db/migrations/0004_capture.ts and 0005_stuck_agents.ts; news of
 * endpoints db/operator-events.ts; a test is built where it is sent, src/api/test-endpoint.ts) and it is sent byte for byte as it is stored; these schemas document it and are what the tests hold it against. All keys are
 * always present, in the order in which they stand here. Keys may be added: receivers ignore what they do not know,
 * and so do the schemas.
 */
const maxCharacters = 4_000

/** Longer texts end in `…[truncated]`, within the limit, which counts code points as Postgres and JSON Schema do. */
const text = z
  .string()
  .refine((value) => value.length <= maxCharacters || [...value].length <= maxCharacters, {
    error: `must be at most ${maxCharacters} characters`,
  })
  .meta({ maxLength: maxCharacters })

/** UTC with milliseconds, such as 2026-01-31T14:30:00.123Z. */
const time = z.iso.datetime({ precision: 3 })

const id = z.string()

const envelope = {
  timestamp: time.describe("When the change was made, by the database's clock"),
  entity_id: id.describe('The task, agent or endpoint that the event is about'),
  project_id: id.nullable().describe("The ticket's project, null where it has none"),
  ticket_id: id.describe("The task's ticket"),
  task_id: id.describe('The task that changed, or that the stuck agent holds'),
}
const { timestamp, entity_id, project_id, ticket_id, task_id } = envelope
const assigned = id.nullable().describe('The agent that the task is assigned to')

export const taskCompleted = z.looseObject({
  event_type: z.literal('task.completed'),
  timestamp,
  entity_type: z.literal('task'),
  entity_id,
  project_id,
  ticket_id,
  task_id,
  agent_id: assigned,
  data: z.looseObject({
    result: text.describe('The string under `result` in the task\'s result, else "success"'),
    duration_seconds: z
      .int()
      .nullable()
      .describe('completed_at − started_at in whole seconds; null where one of them is unknown'),
    output_summary: text.nullable().describe("The string under `output_summary` in the task's result"),
  }),
})

export const taskFailed = z.looseObject({
  event_type: z.literal('task.failed'),
  timestamp,
  entity_type: z.literal('task'),
  entity_id,
  project_id,
  ticket_id,
  task_id,
  agent_id: assigned,
  data: z.looseObject({
    error: text.nullable().describe("The task's error_message"),
    retry_count: z.int().nullable(),
    max_retries: z.int().nullable(),
  }),
})

export const agentStuck = z.looseObject({
  event_type: z.literal('agent.stuck'),
  timestamp,
  entity_type: z.literal('agent'),
  entity_id,
  project_id,
  ticket_id,
  task_id,
  agent_id: id.describe('The agent that is stuck'),
  data: z.looseObject({
    last_heartbeat: time.nullable().describe('Null where it is unknown'),
    stuck_reason: text.describe('no_heartbeat, or what an analysis gave'),
    seconds_since_heartbeat: z.int().nullable().describe('Whole seconds; null where it is unknown'),
  }),
})

/** Sent by POST /api/v1/endpoints/{id}/test: it is about no task, and it is not in the outbox. */
export const webhookTest = z.looseObject({
  event_type: z.literal('webhook.test'),
  timestamp: time.describe('When the test was asked for'),
  entity_type: z.literal('endpoint'),
  entity_id: id.describe('The endpoint'),
  project_id: z.null(),
  ticket_id: z.null(),
  task_id: z.null(),
  agent_id: z.null(),
  data: z.looseObject({ message: text }),
})

const aboutEndpoint = {
  timestamp: time.describe('When it turned'),
  entity_type: z.literal('endpoint'),
  entity_id: id.describe('The endpoint'),
  project_id: z.null(),
  ticket_id: z.null(),
  task_id: z.null(),
  agent_id: z.null(),
}
const turn = {
  url: z.string().describe('Of the endpoint: its origin and path'),
  failures: z.int().describe('In a row, of any kind'),
  since: time.nullable().describe('When the first of these failures was'),
  last_status: z.int().nullable().describe('HTTP status of its last answer'),
}
const lastError = text.nullable().describe('Why the last attempt that failed did')

/** To OPERATOR_WEBHOOK_URL: what is owed to an endpoint waits from now on. */
export const endpointFailing = z.looseObject({
  event_type: z.literal('endpoint.failing'),
  ...aboutEndpoint,
  data: z.looseObject({
    url: turn.url,
    status: z
      .enum(['open', 'paused'])
      .describe('open: its breaker opened, and one delivery at a time probes it; paused: it answered 410'),
    failures: turn.failures,
    since: turn.since,
    last_status: turn.last_status,
    last_error: lastError,
  }),
})

/** To OPERATOR_WEBHOOK_URL: it answers again, and what waited goes out. */
export const endpointRecovered = z.looseObject({
  event_type: z.literal('endpoint.recovered'),
  ...aboutEndpoint,
  data: z.looseObject({
    url: turn.url,
    status: z.enum(['healthy', 'paused']).describe('paused: it answers, and yet waits for a resume'),
    failures: turn.failures,
    since: turn.since,
    down_seconds: z.int().nullable().describe('Whole seconds since then'),
    last_status: turn.last_status,
    last_error: lastError,
  }),
})

/** What capture writes. */
export const webhookEvent = z.discriminatedUnion('event_type', [taskCompleted, taskFailed, agentStuck])

/** What receivers get. */
export const receivedEvent = z.discriminatedUnion('event_type', [
  ...webhookEvent.options,
  endpointFailing,
  endpointRecovered,
  webhookTest,
])

export type TaskCompleted = z.infer<typeof taskCompleted>
export type TaskFailed = z.infer<typeof taskFailed>
export type AgentStuck = z.infer<typeof agentStuck>
export type WebhookTest = z.infer<typeof webhookTest>
export type WebhookEvent = z.infer<typeof webhookEvent>
