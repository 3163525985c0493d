import { type Kysely, sql } from 'kysely'
import { Gauge, type Registry } from 'prom-client'
import type { Database } from '../../database/tables.ts'
import { maySendFrom } from '../../installation/installation.ts'
import { type Answers, askDatabase } from './ask-database.ts'

/** A scrape waits for the database no longer than this, and the database works on it no longer. */
const deadlineMs = 2_000

/**
 * What the database says, asked at each scrape: it is the same whoever is asked, but for whether this process may send. Where
 * it does not answer in time, or is not migrated, what it would have said is left out, and `webhook_database_up` is 0.
 */
export class DatabaseMetrics {
  readonly #db: Kysely<Database>
  readonly #installation: string | undefined
  readonly #gauges: Gauges
  #underWay: Promise<void> | undefined

  /** @param installation INSTALLATION of this process */
  constructor(registry: Registry, db: Kysely<Database>, installation: string | undefined) {
    this.#db = db
    this.#installation = installation
    this.#gauges = createGauges(registry)
  }

  /** Never rejects, and takes two seconds at most. Scrapes that come together ask once. */
  async refresh(): Promise<void> {
    this.#underWay ??= this.#ask().finally(() => (this.#underWay = undefined))
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('Postgres does not answer')), deadlineMs)
    })
    try {
      await Promise.race([this.#underWay, late])
    } catch {
      clear(this.#gauges)
      this.#gauges.database_up.set(0)
    } finally {
      clearTimeout(timer)
    }
  }

  async #ask(): Promise<void> {
    const start = performance.now()
    const answers = await this.#db
      .transaction()
      .setAccessMode('read only')
      .setIsolationLevel('read committed')
      .execute(async (trx) => {
        // Planned for a backlog that has to be counted, which is mostly known: workers and compiled code would do nothing.
        await sql`select set_config('statement_timeout', ${String(deadlineMs)}, true),
          set_config('max_parallel_workers_per_gather', '0', true), set_config('jit', 'off', true)`.execute(
          trx,
        )
        return askDatabase(trx, this.#installation)
      })
    show(this.#gauges, answers)
    this.#gauges.database_seconds.set((performance.now() - start) / 1000)
  }
}

const help = {
  database_up:
    '1 where Postgres answered this scrape in time and is migrated, else 0: what else it says is then missing',
  database_seconds: 'How long Postgres took for this scrape',
  owed: 'Events that are owed. due: could be sent now; held: due, but their endpoint is paused or its breaker open; waiting: for the time of their next attempt; delivering: in flight',
  oldest_due_age_seconds:
    'How long the oldest event has been due, of those that could be sent now and of those that are held; 0 where there is none',
  backlog_count_age_seconds:
    'How old the counts of due, held and waiting are: 0 where they were counted for this scrape',
  endpoints:
    'Endpoints by their breaker, closed, open or probing, and those that are paused, whatever their breaker',
  longest_open_breaker_seconds:
    'How long the breaker that has been open for longest has been, of endpoints that are not paused',
  dispatchers_connected: 'Dispatchers that are connected to this database',
  installation_confirmed:
    '1 where this process may send; 0 where the database belongs to another INSTALLATION, and nothing is sent',
  capture_triggers_failing:
    'Triggers of this service that are missing or disabled: their changes are not seen',
  operations:
    'Bulk replays and discards: queued, running, and failed, those that did so within the last hour',
  operation_events_left: 'Events that bulk operations which are queued or running have yet to take',
  operation_overdue_seconds:
    'For how long the next batch of a bulk operation has had its turn, of the one that waits longest; 0 where none does',
  partition_days_ahead: 'Whole days ahead for which there are partitions',
  dead_tuples: 'Dead rows that vacuum has yet to remove, by table',
  oldest_xmin_age_transactions:
    'How many transactions the oldest snapshot, slot or prepared transaction is behind: vacuum can remove nothing newer',
  oldest_transaction_seconds: 'How long the oldest transaction in this database has been open',
  notification_queue_usage_ratio:
    'How full the notification queue of the server is, from 0 to 1: at 1 commits that notify fail',
} as const

type Name = keyof typeof help
type Gauges = Record<Name, Gauge>

const names = Object.keys(help) as Name[]
const labels: Partial<Record<Name, string>> = {
  owed: 'state',
  oldest_due_age_seconds: 'state',
  endpoints: 'state',
  operations: 'state',
  dead_tuples: 'table',
}

function createGauges(registry: Registry): Gauges {
  const gauges = names.map((name) => {
    const label = labels[name]
    const labelNames = label === undefined ? [] : [label]
    return [name, new Gauge({ name: `webhook_${name}`, help: help[name], labelNames, registers: [registry] })]
  })
  const created = Object.fromEntries(gauges) as Gauges
  clear(created)
  return created
}

/** To nothing at all: a zero would be a statement. */
function clear(gauges: Gauges): void {
  for (const name of names) {
    gauges[name].reset()
    if (labels[name] === undefined) gauges[name].remove()
  }
}

function show(gauges: Gauges, answers: Answers): void {
  const { server, backlog, endpoints, operations, dispatchers } = answers
  gauges.database_up.set(1)
  for (const state of ['due', 'held', 'waiting', 'delivering'] as const)
    gauges.owed.set({ state }, backlog[state])
  gauges.oldest_due_age_seconds.set({ state: 'due' }, backlog.oldest_due)
  gauges.oldest_due_age_seconds.set({ state: 'held' }, backlog.oldest_held)
  gauges.backlog_count_age_seconds.set(backlog.count_age)
  for (const state of ['closed', 'open', 'probing', 'paused'] as const)
    gauges.endpoints.set({ state }, endpoints[state])
  gauges.longest_open_breaker_seconds.set(endpoints.longest_open)
  // A pooler may hide their names; the lock of one that sleeps is seen in any case.
  gauges.dispatchers_connected.set(Math.max(dispatchers.listening, dispatchers.asleep ? 1 : 0))
  gauges.installation_confirmed.set(maySendFrom(answers.installation) ? 1 : 0)
  gauges.capture_triggers_failing.set(answers.triggerFaults.length)
  for (const state of ['queued', 'running', 'failed'] as const)
    gauges.operations.set({ state }, operations[state])
  gauges.operation_events_left.set(operations.events_left)
  gauges.operation_overdue_seconds.set(operations.overdue)
  gauges.partition_days_ahead.set(answers.partitionDaysAhead)
  gauges.dead_tuples.set({ table: 'webhook_outbox' }, server.dead_outbox)
  gauges.dead_tuples.set({ table: 'webhook_endpoints' }, server.dead_endpoints)
  gauges.oldest_xmin_age_transactions.set(server.xmin_age)
  gauges.oldest_transaction_seconds.set(server.oldest_transaction)
  gauges.notification_queue_usage_ratio.set(server.notify_usage)
}
