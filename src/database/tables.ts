import type { ColumnType, Generated, GeneratedAlways } from 'kysely'

/** Row types of the host's tables and of this service's, as db/migrations make them. */
type Time = ColumnType<Date, Date | string | undefined, Date | string>
type NullableTime = ColumnType<Date | null, Date | string | null | undefined, Date | string | null>

export interface Projects {
  id: Generated<string>
  name: string | null
  status: Generated<string | null>
  webhook_url: string | null
  created_at: NullableTime
  updated_at: NullableTime
}

export interface Tickets {
  id: Generated<string>
  project_id: string | null
  title: string | null
  status: Generated<string | null>
  webhook_url: string | null
  created_at: NullableTime
  updated_at: NullableTime
}

export interface Tasks {
  id: Generated<string>
  ticket_id: string | null
  title: string | null
  status: Generated<string | null>
  assigned_agent_id: string | null
  /** Written as JSON text: the driver would send an array as a Postgres array. */
  result: ColumnType<unknown, string | null | undefined, string | null>
  error_message: string | null
  retry_count: Generated<number | null>
  max_retries: Generated<number | null>
  started_at: NullableTime
  completed_at: NullableTime
  created_at: NullableTime
  updated_at: NullableTime
}

export interface Agents {
  id: Generated<string>
  agent_type: string | null
  status: Generated<string | null>
  last_heartbeat: NullableTime
  created_at: NullableTime
  updated_at: NullableTime
}

export interface AgentStuckEpisodes {
  agent_id: string
  reason: Generated<string>
  started_at: Time
  ended_at: NullableTime
}

interface EventColumns {
  event_id: Generated<string>
  event_type: string
  entity_type: string
  entity_id: string
  project_id: string | null
  ticket_id: string | null
  task_id: string | null
  agent_id: string | null
  url: string
  /** JSON text: the exact bytes that are sent (see createPool). */
  payload: string
}

interface LastAttempt {
  attempts: Generated<number>
  last_status: number | null
  last_error: string | null
  created_at: Time
}

export interface WebhookOutbox extends EventColumns, LastAttempt {
  traceparent: string | null
  /** A bigint, as text. */
  id: GeneratedAlways<string>
  state: Generated<'pending' | 'delivering'>
  next_attempt_at: Time
  lease_token: string | null
  lease_until: NullableTime
  attempts_before: Generated<number>
  replayed_at: NullableTime
  endpoint_id: GeneratedAlways<string>
}

export interface WebhookHistory extends EventColumns, LastAttempt {
  traceparent: string | null
  outcome: 'delivered' | 'dead' | 'discarded'
  settled_at: Time
  endpoint_id: GeneratedAlways<string>
}

export interface WebhookAttempts {
  event_id: string
  attempt: number
  started_at: Time
  duration_ms: number | null
  status: number | null
  error: string | null
  response: string | null
}

export interface WebhookStuckSweep {
  swept_at: Time
  judge_from: Time
  started: Generated<boolean>
}

export interface WebhookEvents extends EventColumns, LastAttempt {
  state: 'pending' | 'delivering' | 'delivered' | 'dead' | 'discarded'
  next_attempt_at: Date | null
  settled_at: Date | null
  endpoint_id: string
}

export interface WebhookBacklog {
  endpoint_id: string
  endpoint: string
  due: string
  waiting: string
  delivering: string
  oldest_due_age: unknown
  next_attempt_at: Date | null
  last_error: string | null
  counted_at: Date
}

export interface WebhookPartitions {
  parent: string
  name: string
  day: Date
}

export interface Database {
  projects: Projects
  tickets: Tickets
  tasks: Tasks
  agents: Agents
  agent_stuck_episodes: AgentStuckEpisodes
  webhook_outbox: WebhookOutbox
  webhook_history: WebhookHistory
  webhook_attempts: WebhookAttempts
  webhook_stuck_sweep: WebhookStuckSweep
  webhook_events: WebhookEvents
  webhook_backlog: WebhookBacklog
  webhook_partitions: WebhookPartitions
}
