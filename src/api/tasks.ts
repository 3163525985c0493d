import { sql } from 'kysely'
import { count, time } from './answer.ts'
import type { Services } from './context.ts'
import type { Values } from './host-rows.ts'
import { traceHeader } from './continue-trace.ts'
import { taskBodyLimit } from './json-body.ts'
import { rawJson } from './json-text.ts'
import { resourceDocs } from './openapi/resource-docs.ts'
import { type Resource, resourceRoutes } from './resource.ts'
import { task, taskSchemas } from './schemas/task.ts'

interface TaskRow {
  id: string
  ticket_id: string | null
  title: string | null
  status: string | null
  assigned_agent_id: string | null
  result: string | null
  error_message: string | null
  retry_count: number | string | null
  max_retries: number | string | null
  started_at: Date | number | null
  completed_at: Date | number | null
  created_at: Date | number | null
  updated_at: Date | number | null
}

export function taskRoutes(services: Services) {
  const tasks: Resource<TaskRow> = {
    table: 'tasks',
    noun: 'task',
    columns: sql`id, ticket_id, title, status, assigned_agent_id, result::text as result, error_message,
      retry_count, max_retries, started_at::timestamptz as started_at, completed_at::timestamptz as completed_at,
      created_at::timestamptz as created_at, updated_at::timestamptz as updated_at`,
    schemas: taskSchemas(),
    references: {
      ticket_id: { table: 'tickets', noun: 'ticket' },
      assigned_agent_id: { table: 'agents', noun: 'agent' },
    },
    bodyLimit: taskBodyLimit,
    traced: true,
    show,
    toInsert: (body) => withTimes(body, () => sql`clock_timestamp()`),
    toUpdate: (body) =>
      withTimes(body, (column) => sql`coalesce(${sql.ref(`tasks.${column}`)}, clock_timestamp())`),
  }
  return resourceRoutes(services, tasks)
}

/** The event's duration comes of these times: they are set in the statement that its trigger sees. */
function withTimes(body: Values, now: (column: string) => unknown): Values {
  const values = { ...body }
  // As text: the driver would make a Postgres array of an array.
  if (values['result'] != null) values['result'] = sql`${JSON.stringify(values['result'])}::jsonb`
  if (values['status'] === 'running') values['started_at'] = now('started_at')
  if (values['status'] === 'completed' || values['status'] === 'failed') {
    values['completed_at'] = now('completed_at')
  }
  return values
}

function show(row: TaskRow): object {
  return {
    id: row.id,
    ticket_id: row.ticket_id,
    title: row.title,
    status: row.status,
    assigned_agent_id: row.assigned_agent_id,
    result: rawJson(row.result),
    error_message: row.error_message,
    retry_count: count(row.retry_count),
    max_retries: count(row.max_retries),
    started_at: time(row.started_at),
    completed_at: time(row.completed_at),
    created_at: time(row.created_at),
    updated_at: time(row.updated_at),
  }
}

export const taskDocs = resourceDocs({
  table: 'tasks',
  noun: 'task',
  schemas: taskSchemas(),
  item: task,
  patchHeaders: traceHeader,
  patchDescription:
    'A status that changes to completed or failed is sent as an event. started_at is set on running and completed_at on completed or failed, where they are null. result is replaced whole.',
})
