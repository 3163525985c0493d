import { Hono } from 'hono'
import { z } from 'zod'
import type { Env } from './context.ts'
import type { RouteDoc } from './openapi/route-doc.ts'

/** The text format 0.0.4, which every Prometheus reads. */
const contentType = 'text/plain; version=0.0.4; charset=utf-8'

/** /metrics, which every ROLE serves. It answers also where Postgres is away: with what the process itself knows. */
export function metricsRoutes(scrape: () => Promise<string>): Hono<Env> {
  return new Hono<Env>().get('/metrics', async (c) =>
    c.body(await scrape(), 200, { 'content-type': contentType }),
  )
}

export const metricsDocs: RouteDoc[] = [
  {
    method: 'get',
    path: '/metrics',
    id: 'getMetrics',
    tag: 'service',
    summary: 'Metrics, for Prometheus',
    description:
      'What is owed, endpoints and the health of the database are the same whichever process is asked; deliveries, claims and settlements are those of this process. Where Postgres does not answer within two seconds, webhook_database_up is 0 and what it would have said is missing. See src/observe for a dashboard and alert rules.',
    answer: {
      status: 200,
      description: 'The text format of Prometheus',
      schema: z.string(),
      type: 'text/plain',
    },
  },
]
