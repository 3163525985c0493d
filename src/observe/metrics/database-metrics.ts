import { type Kysely, sql, type Transaction } from 'kysely'
import { Gauge, type Registry } from 'prom-client'
import type { Database } from '../../database/tables.ts'
import { partitionDaysAhead } from '../../dispatch/partitions.ts'
import { findDispatchers } from '../dispatchers.ts'

/** A scrape waits for the database no longer than this, and the database works on it no longer. */
const deadlineMs = 2_000

/**
 * What the database says, asked at each scrape: it is the same whoever is asked. Where it does not answer in time, or is not
 * migrated, what it would have said is left out, and `webhook_database_up` is 0.
 */
export class DatabaseMetrics {
  readonly #db: Kysely<Database>
  readonly #gauges: Gauges
  #underWay: Promise<void> | undefined

  constructor(registry: Registry, db: Kysely<Database>) {
    this.#db = db
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
        return {
          server: await askServer(trx),
          backlog: await askBacklog(trx),
          endpoints: await askEndpoints(trx),
          partition_days_ahead: await partitionDaysAhead(trx),
          dispatchers: await findDispatchers(trx),
        }
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

interface Answers {
  server: Server
  backlog: Backlog
  endpoints: Endpoints
  partition_days_ahead: number
  dispatchers: { listening: number; asleep: boolean }
}

function show(gauges: Gauges, answers: Answers): void {
  const { server, backlog, endpoints, dispatchers } = answers
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
  gauges.partition_days_ahead.set(answers.partition_days_ahead)
  gauges.dead_tuples.set({ table: 'webhook_outbox' }, server.dead_outbox)
  gauges.dead_tuples.set({ table: 'webhook_endpoints' }, server.dead_endpoints)
  gauges.oldest_xmin_age_transactions.set(server.xmin_age)
  gauges.oldest_transaction_seconds.set(server.oldest_transaction)
  gauges.notification_queue_usage_ratio.set(server.notify_usage)
}

interface Server {
  notify_usage: number
  xmin_age: number
  oldest_transaction: number
  dead_outbox: number
  dead_endpoints: number
}

/** Of other accounts' sessions no snapshot is shown without pg_read_all_stats: then their running transaction ids count. */
async function askServer(trx: Transaction<Database>): Promise<Server> {
  const { rows } = await sql<Server>`
    select pg_notification_queue_usage() as notify_usage,
      greatest(0, age(pg_snapshot_xmin(pg_current_snapshot())::xid),
        (select max(age(backend_xmin)) from pg_stat_activity),
        (select max(greatest(age(xmin), age(catalog_xmin))) from pg_replication_slots),
        (select max(age(transaction)) from pg_prepared_xacts))::float8 as xmin_age,
      coalesce((select extract(epoch from max(now() - xact_start)) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()), 0)::float8 as oldest_transaction,
      pg_stat_get_dead_tuples('webhook_outbox'::regclass)::float8 as dead_outbox,
      pg_stat_get_dead_tuples('webhook_endpoints'::regclass)::float8 as dead_endpoints`.execute(trx)
  return rows[0]!
}

interface Backlog {
  due: number
  held: number
  waiting: number
  delivering: number
  oldest_due: number
  oldest_held: number
  count_age: number
}

async function askBacklog(trx: Transaction<Database>): Promise<Backlog> {
  const { rows } = await sql<Backlog>`
    select coalesce(sum(due) filter (where not held), 0)::float8 as due,
      coalesce(sum(due) filter (where held), 0)::float8 as held,
      coalesce(sum(waiting), 0)::float8 as waiting, coalesce(sum(delivering), 0)::float8 as delivering,
      greatest(0, extract(epoch from max(oldest_due_age) filter (where not held)))::float8 as oldest_due,
      greatest(0, extract(epoch from max(oldest_due_age) filter (where held)))::float8 as oldest_held,
      coalesce(extract(epoch from now() - min(counted_at)), 0)::float8 as count_age
    from (
      select b.*, e.paused_at is not null or coalesce(e.breaker, 'closed') <> 'closed' as held
      from webhook_backlog b left join webhook_endpoints e on e.id = b.endpoint_id
    ) backlog`.execute(trx)
  return rows[0]!
}

interface Endpoints {
  closed: number
  open: number
  probing: number
  paused: number
  longest_open: number
}

async function askEndpoints(trx: Transaction<Database>): Promise<Endpoints> {
  const { rows } = await sql<Endpoints>`
    select (count(*) filter (where breaker = 'closed'))::float8 as closed,
      (count(*) filter (where breaker = 'open'))::float8 as open,
      (count(*) filter (where breaker = 'probing'))::float8 as probing,
      count(paused_at)::float8 as paused,
      greatest(0, extract(epoch from now()
        - min(opened_at) filter (where breaker <> 'closed' and paused_at is null and isfinite(opened_at))))::float8 as longest_open
    from webhook_endpoints`.execute(trx)
  return rows[0]!
}
