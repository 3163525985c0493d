import { Hono } from 'hono'
import { z } from 'zod'
import type { Env } from './context.ts'
import type { RouteDoc } from './openapi/route-doc.ts'

const healthReport = z
  .object({
    status: z.enum(['ok', 'failing']),
    checks: z.record(
      z.string(),
      z.object({
        status: z.enum(['ok', 'warning', 'failing']),
        detail: z.string().optional().describe('What is wrong, and what to do about it'),
      }),
    ),
  })
  .meta({ id: 'HealthReport' })

export type HealthReport = z.infer<typeof healthReport>

const broken: HealthReport = {
  status: 'failing',
  checks: { health: { status: 'failing', detail: 'the check itself failed: see the log' } },
}

/**
 * /livez: the process answers. /readyz: it can do its work, by `health`; 503 where it cannot.
 * Neither needs a token, and every ROLE serves them.
 */
export function healthRoutes(
  health: () => Promise<HealthReport>,
  onError: (error: unknown) => void,
): Hono<Env> {
  return new Hono<Env>()
    .get('/livez', (c) => c.json({ status: 'ok' }))
    .get('/readyz', async (c) => {
      const report = await health().catch((error: unknown) => {
        onError(error)
        return broken
      })
      return c.json(report, report.status === 'ok' ? 200 : 503)
    })
}

export const healthDocs: RouteDoc[] = [
  {
    method: 'get',
    path: '/livez',
    id: 'getLiveness',
    tag: 'service',
    summary: 'Whether the process answers',
    open: true,
    answer: { status: 200, description: 'It does', schema: z.object({ status: z.literal('ok') }) },
  },
  {
    method: 'get',
    path: '/readyz',
    id: 'getReadiness',
    tag: 'service',
    summary: 'Whether the service can do its work',
    open: true,
    answer: { status: 200, description: 'It can', schema: healthReport },
    alsoAnswers: [{ status: 503, description: 'It cannot: checks says why', schema: healthReport }],
  },
]
