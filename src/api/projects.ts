import { sql } from 'kysely'
import { time } from './answer.ts'
import type { Services } from './context.ts'
import { resourceDocs } from './openapi/resource-docs.ts'
import { type Resource, resourceRoutes } from './resource.ts'
import { project, projectSchemas } from './schemas/project.ts'

interface ProjectRow {
  id: string
  name: string | null
  status: string | null
  webhook_url: string | null
  created_at: Date | number | null
  updated_at: Date | number | null
}

export function projectRoutes(services: Services) {
  const projects: Resource<ProjectRow> = {
    table: 'projects',
    noun: 'project',
    columns: sql`id, name, status, webhook_url,
      created_at::timestamptz as created_at, updated_at::timestamptz as updated_at`,
    schemas: projectSchemas(services.refuseUrl),
    show: (row) => ({
      id: row.id,
      name: row.name,
      status: row.status,
      webhook_url: row.webhook_url,
      created_at: time(row.created_at),
      updated_at: time(row.updated_at),
    }),
  }
  return resourceRoutes(services, projects)
}

export const projectDocs = resourceDocs({
  table: 'projects',
  noun: 'project',
  schemas: projectSchemas(),
  item: project,
  patchDescription: 'A changed webhook_url moves what is still owed to the URL that now applies.',
})
