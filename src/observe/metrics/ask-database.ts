import { sql, type Transaction } from 'kysely'
import type { Database } from '../../database/tables.ts'
import { partitionDaysAhead } from '../../dispatch/partitions.ts'
import { type Installation, readInstallation } from '../../installation/installation.ts'
import { findTriggerFaults, type TriggerFault } from '../capture-triggers.ts'
import { type Dispatchers, findDispatchers } from '../dispatchers.ts'

/** What a scrape wants to know: all times in seconds. */
export interface Answers {
  server: Server
  backlog: Backlog
  endpoints: Endpoints
  operations: Operations
  installation: Installation
  triggerFaults: TriggerFault[]
  partitionDaysAhead: number
  dispatchers: Dispatchers
}

/**
 * Where much is owed, nothing here counts rows of it: a dispatcher did that some seconds ago (see 0011_backlog).
 * @throws where the database is away, or not migrated
 */
export async function askDatabase(
  trx: Transaction<Database>,
  installation: string | undefined,
): Promise<Answers> {
  return {
    server: await askServer(trx),
    backlog: await askBacklog(trx),
    endpoints: await askEndpoints(trx),
    operations: await askOperations(trx),
    installation: await readInstallation(trx, installation),
    triggerFaults: await findTriggerFaults(trx),
    partitionDaysAhead: await partitionDaysAhead(trx),
    dispatchers: await findDispatchers(trx),
  }
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

/** As webhook_backlog, but for the URL of each endpoint, and for a look at whether so little is left that it could be counted. */
async function askBacklog(trx: Transaction<Database>): Promise<Backlog> {
  const { rows } = await sql<Backlog>`
    with counted as materialized (
      select valid_until > now() as known, counted_at from webhook_backlog_counted
    ),
    pending as (
      select endpoint_id, count(*) filter (where next_attempt_at <= now()) as due,
        count(*) filter (where next_attempt_at > now()) as waiting,
        min(next_attempt_at) filter (where next_attempt_at <= now()) as oldest_due_at
      from webhook_outbox where state = 'pending' and (select known from counted) is not true
      group by endpoint_id
      union all
      select endpoint_id, due, waiting, oldest_due_at from webhook_backlog_counts where (select known from counted)
    ),
    judged as (
      select p.due, p.waiting, case when isfinite(p.oldest_due_at) then p.oldest_due_at end as since,
        e.paused_at is not null or coalesce(e.breaker, 'closed') <> 'closed' as held
      from pending p left join webhook_endpoints e on e.id = p.endpoint_id
    )
    select coalesce(sum(due) filter (where not held), 0)::float8 as due,
      coalesce(sum(due) filter (where held), 0)::float8 as held, coalesce(sum(waiting), 0)::float8 as waiting,
      (select count(*)::float8 from webhook_outbox where state = 'delivering') as delivering,
      greatest(0, extract(epoch from now() - min(since) filter (where not held)))::float8 as oldest_due,
      greatest(0, extract(epoch from now() - min(since) filter (where held)))::float8 as oldest_held,
      coalesce((select extract(epoch from now() - counted_at) from counted where known), 0)::float8 as count_age
    from judged`.execute(trx)
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

interface Operations {
  queued: number
  running: number
  failed: number
  events_left: number
  overdue: number
}

async function askOperations(trx: Transaction<Database>): Promise<Operations> {
  const { rows } = await sql<Operations>`
    select (count(*) filter (where state = 'queued'))::float8 as queued,
      (count(*) filter (where state = 'running'))::float8 as running,
      (count(*) filter (where state = 'failed'))::float8 as failed,
      coalesce(sum(greatest(0, matched - done - skipped)) filter (where state <> 'failed'), 0)::float8 as events_left,
      greatest(0, extract(epoch from now()
        - min(next_batch_at) filter (where state <> 'failed' and isfinite(next_batch_at))))::float8 as overdue
    from webhook_operations
    where state in ('queued', 'running') or state = 'failed' and finished_at > now() - interval '1 hour'`.execute(
    trx,
  )
  return rows[0]!
}
