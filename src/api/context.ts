import type { Kysely } from 'kysely'
import type { Config } from '../config.ts'
import type { PageLimits } from '../dashboard/pages.ts'
import type { Database } from '../database/tables.ts'
import type { Sender } from '../delivery/send.ts'
import type { RefuseUrl } from '../delivery/webhook-url.ts'
import type { HealthReport } from './health.ts'

/** What the API needs of a pino logger. */
export interface ApiLog {
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface AppOptions {
  /** Its pool should have timeouts: no request is to wait for Postgres for ever. */
  db: Kysely<Database>
  config: Pick<Config, 'apiTokens' | 'role' | 'leaseMs'> & PageLimits & Partial<Pick<Config, 'installation'>>
  /** Sends what an operator tests an endpoint with. */
  sender: Pick<Sender, 'send'>
  version: string
  health: () => Promise<HealthReport>
  /** What /metrics answers; where it is absent there is none. */
  metrics?: () => Promise<string>
  log?: ApiLog
  refuseUrl?: RefuseUrl
}

/** What the routes of a resource work with. */
export interface Services {
  db: Kysely<Database>
  refuseUrl: RefuseUrl | undefined
  sender: Pick<Sender, 'send'>
  /** Milliseconds that a dispatcher holds what it claimed. */
  leaseMs: number
  /** Deliveries in flight to one endpoint, at most. */
  maxInFlightPerEndpoint: number
  /** INSTALLATION. */
  installation: string | undefined
}

export interface Env {
  Variables: {
    /** Name of the token that made the request; undefined where no tokens are configured. */
    actor: string | undefined
  }
}
