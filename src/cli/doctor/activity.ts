import { sql } from 'kysely'
import { findDispatchers } from '../../observe/dispatchers.ts'
import { notifyQueueUsage, WARN_ABOVE } from '../../observe/notify-queue.ts'
import { withoutSecrets } from '../../api/without-secrets.ts'
import { count, duration } from '../../words.ts'
import { type Check, type Finding, note, wrong } from './finding.ts'
import { program } from '../program.ts'

export const dispatchers: Check = {
  name: 'dispatchers',
  async look({ db }) {
    const { listening, asleep } = await findDispatchers(db)
    if (listening > 0 || asleep) return []
    return [
      wrong(
        'no dispatcher is connected: nothing is sent, and nobody looks for stuck agents',
        'start the service with ROLE=all or ROLE=dispatcher and this DATABASE_URL; behind a pooler, also LISTEN_DATABASE_URL',
      ),
    ]
  },
}

/** The sweep for stuck agents runs in each dispatcher; one that does not end leaves stuck agents unseen. */
export const sweep: Check = {
  name: 'search for stuck agents',
  async look({ db, config }) {
    const longest = Math.max(60, (config.stuckSweepIntervalMs / 1000) * 5)
    const { rows } = await sql<{ seconds: number; started: boolean }>`
      select extract(epoch from now() - swept_at)::float8 as seconds, started from webhook_stuck_sweep`.execute(
      db,
    )
    const last = rows[0]
    if (last === undefined) {
      return [
        wrong('the row of webhook_stuck_sweep is gone', 'insert into webhook_stuck_sweep default values'),
      ]
    }
    if (!last.started || last.seconds <= longest) return []
    return [
      wrong(
        `nobody has looked for stuck agents for ${duration(last.seconds)}`,
        "see a dispatcher's log: it says what the sweep waits for; where none runs, start one",
      ),
    ]
  },
}

/** In seconds. */
const longestLate = 60

export const backlog: Check = {
  name: 'what is owed',
  async look({ db }) {
    const { rows } = await sql<{
      id: string
      url: string
      owed: number
      oldest: number | null
      breaker: string | null
      paused_reason: string | null
      paused: boolean
      last_error: string | null
    }>`
      select b.endpoint_id as id, b.endpoint as url, (b.due + b.waiting + b.delivering)::integer as owed,
        extract(epoch from b.oldest_due_age)::float8 as oldest, e.breaker, e.paused_reason,
        e.paused_at is not null as paused, e.last_error
      from webhook_backlog b left join webhook_endpoints e on e.id = b.endpoint_id
      order by b.oldest_due_age desc nulls last
      limit 1000`.execute(db)
    return rows.flatMap(
      ({ id, owed, oldest, breaker, paused, paused_reason, last_error, ...row }): Finding[] => {
        const to = `${count(owed, 'event')} owed to ${withoutSecrets(row.url)}`
        if (paused) {
          return [
            wrong(`${to}: it is paused (${paused_reason ?? 'no reason given'})`, `${program} resume ${id}`),
          ]
        }
        if (breaker === 'open' || breaker === 'probing') {
          return [
            wrong(
              `${to}: its breaker is open, as it failed too often; the last error: ${last_error ?? 'unknown'}`,
              `mend the receiver, try it by ${program} test ${id}; ${program} resume ${id} probes at once`,
            ),
          ]
        }
        if ((oldest ?? 0) <= longestLate) return []
        return [
          wrong(
            `${to}: the oldest has been due for ${duration(oldest!)}, and no dispatcher takes it`,
            `${program} endpoints ${id} says whether it is at its limit; a dispatcher's log says what else it does`,
          ),
        ]
      },
    )
  },
}

export const leases: Check = {
  name: 'leases',
  async look({ db }) {
    const { rows } = await sql<{ rows: number }>`
      select count(*)::integer as rows from webhook_outbox
      where state = 'delivering' and lease_until < now() - interval '1 minute'`.execute(db)
    const { rows: lost } = rows[0]!
    if (lost === 0) return []
    return [
      wrong(
        `${count(lost, 'event')} of a dispatcher that is gone, and nobody takes over`,
        'start a dispatcher: it takes what has an expired lease',
      ),
    ]
  },
}

export const deadLetters: Check = {
  name: 'dead events',
  async look({ db }) {
    const { rows } = await sql<{ rows: number }>`
      select count(*)::integer as rows from webhook_history
      where outcome = 'dead' and settled_at > now() - interval '1 day'`.execute(db)
    const { rows: dead } = rows[0]!
    if (dead === 0) return []
    return [
      note(
        `${count(dead, 'event')} died within a day`,
        `${program} deliveries --state dead --from 24h says of what; ${program} replay --state dead --from 24h sends them again`,
      ),
    ]
  },
}

export const notifications: Check = {
  name: 'notification queue',
  async look({ db }) {
    const usage = await notifyQueueUsage(db)
    if (usage <= WARN_ABOVE) return []
    return [
      wrong(
        `the notification queue of the server is ${Math.round(usage * 100)} % full: once it is full, each change that notifies fails`,
        `end the session that listens in an open transaction: select pid, application_name, xact_start from pg_stat_activity where state like 'idle in%' order by xact_start; then select pg_terminate_backend(<pid>)`,
      ),
    ]
  },
}

/** What keeps vacuum from removing dead rows: the outbox grows, and claims slow down. */
export const oldTransactions = (oldMinutes: number): Check => ({
  name: 'old transactions',
  async look({ db }) {
    const { rows } = await sql<{ what: string; mend: string }>`
      select format('a transaction of %s (%s, %s) is open since %s', coalesce(nullif(application_name, ''), 'pid ' || pid),
          usename, coalesce(state, 'active'), date_trunc('second', xact_start)) as what,
        format('select pg_terminate_backend(%s)', pid) as mend
      from pg_stat_activity
      where datname = current_database() and xact_start < now() - ${oldMinutes} * interval '1 minute'
        and (backend_xid is not null or backend_xmin is not null) and backend_type = 'client backend'
      union all
      select format('the prepared transaction %L is open since %s', gid, date_trunc('second', prepared)),
        format('rollback prepared %L, or commit prepared %1$L', gid)
      from pg_prepared_xacts
      where database = current_database() and prepared < now() - ${oldMinutes} * interval '1 minute'
      union all
      select format('the replication slot %s is inactive and holds back rows', slot_name),
        format('start its consumer, or select pg_drop_replication_slot(%L)', slot_name)
      from pg_replication_slots
      where not active and (xmin is not null or catalog_xmin is not null)
        and (database is null or database = current_database())`.execute(db)
    return rows.map(({ what, mend }) =>
      wrong(`${what}: what the outbox has deleted meanwhile cannot be cleaned up`, mend),
    )
  },
})
