import type { Context, ErrorHandler } from 'hono'
import type { Kysely } from 'kysely'
import type { Env } from '../api/context.ts'
import type { HealthReport } from '../api/health.ts'
import type { Config } from '../config.ts'
import type { Database } from '../database/tables.ts'
import type { Activity } from './activity.ts'
import { Api, type ApiRoutes } from './api.ts'
import type { PageEnv } from './guard.ts'

/** What holds for every endpoint that has nothing of its own, by the configuration of this process. */
export type PageLimits = Pick<
  Config,
  'maxInFlightPerEndpoint' | 'retrySchedule' | 'deliveryTimeoutMs' | 'maxOwedAgeMs' | 'recoverWindowMs'
>

/** What the pages are made from. */
export interface PageServices {
  db: Kysely<Database>
  /** The API's routes, called in process. */
  routes: ApiRoutes
  activity: Activity
  health: () => Promise<HealthReport>
  limits: PageLimits
  /** The name that this service runs under, if any. */
  installation: string | undefined
  version: string
  /** Answers with a problem document what the API cannot answer otherwise, and logs what is the service's own fault. */
  onError: ErrorHandler<Env>
}

export type PageContext = Context<PageEnv>

/** The API as who looks at the page may use it. */
export function apiOf(c: PageContext, { routes }: PageServices): Api {
  return new Api(routes, c.get('actor'))
}
