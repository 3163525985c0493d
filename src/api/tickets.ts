import { sql } from 'kysely'
import { time } from './answer.ts'
import type { Services } from './context.ts'
import { resourceDocs } from './openapi/resource-docs.ts'
import { type Resource, resourceRoutes } from './resource.ts'
import { ticket, ticketSchemas } from './schemas/ticket.ts'

interface TicketRow {
  id: string
  project_id: string | null
  title: string | null
  status: string | null
  webhook_url: string | null
  created_at: Date | number | null
  updated_at: Date | number | null
}

export function ticketRoutes(services: Services) {
  const tickets: Resource<TicketRow> = {
    table: 'tickets',
    noun: 'ticket',
    columns: sql`id, project_id, title, status, webhook_url,
      created_at::timestamptz as created_at, updated_at::timestamptz as updated_at`,
    schemas: ticketSchemas(services.refuseUrl),
    references: { project_id: { table: 'projects', noun: 'project' } },
    show: (row) => ({
      id: row.id,
      project_id: row.project_id,
      title: row.title,
      status: row.status,
      webhook_url: row.webhook_url,
      created_at: time(row.created_at),
      updated_at: time(row.updated_at),
    }),
  }
  return resourceRoutes(services, tickets)
}

export const ticketDocs = resourceDocs({
  table: 'tickets',
  noun: 'ticket',
  schemas: ticketSchemas(),
  item: ticket,
  patchDescription: 'A changed webhook_url moves what is still owed to the URL that now applies.',
})
