import { Hono } from 'hono'
import type { Env } from './context.ts'

export interface HealthReport {
  status: 'ok' | 'failing'
  checks: Record<string, { status: 'ok' | 'warning' | 'failing'; detail?: string }>
}

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
