import type { Kysely } from 'kysely'
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { Database } from '../../database/tables.ts'
import { DatabaseMetrics } from './database-metrics.ts'
import { DispatchMetrics } from './dispatch-metrics.ts'

/**
 * The metrics of one process: of the process itself, of what it dispatches, and of the database that it shares with others.
 * No label grows with customers: there is none for a project, a ticket, an endpoint or a URL.
 */
export interface Metrics {
  /** What the dispatcher of this process tells; undefined where it has none. */
  dispatch: DispatchMetrics | undefined
  /** The text format of Prometheus. Never rejects, and takes two seconds at most. */
  scrape(): Promise<string>
}

export interface MetricsOptions {
  db: Kysely<Database>
  version: string
  /** INSTALLATION. */
  installation?: string | undefined
  /** Absent where this process does not dispatch. */
  dispatcher?: { maxInFlight: number }
}

export function createMetrics({ db, version, installation, dispatcher }: MetricsOptions): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  new Gauge({
    ...{ name: 'webhook_build_info', help: 'Always 1: the version that runs, and its Node' },
    ...{ labelNames: ['version', 'node'], registers: [registry] },
  }).set({ version, node: process.version }, 1)
  const dispatch = dispatcher === undefined ? undefined : new DispatchMetrics(registry, dispatcher)
  const database = new DatabaseMetrics(registry, db, installation)
  return {
    dispatch,
    async scrape() {
      await database.refresh()
      // prom-client writes "Nan", which the format does not know.
      return (await registry.metrics()).replaceAll(/ Nan$/gm, ' NaN')
    },
  }
}
