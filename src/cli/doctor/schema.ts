import { sql } from 'kysely'
import { pendingMigrations } from '../../database/migrate.ts'
import { partitionDaysAhead, warnBelowDays } from '../../dispatch/partitions.ts'
import { type Check, type Finding, note, wrong } from './finding.ts'
import { program } from '../program.ts'

const oldestServer = 150_000

export const server: Check = {
  name: 'server version',
  async look({ db }) {
    const { rows } = await sql<{ number: number; version: string }>`
      select current_setting('server_version_num')::integer as number, current_setting('server_version') as version`.execute(
      db,
    )
    const { number, version } = rows[0]!
    return number >= oldestServer
      ? []
      : [wrong(`this is PostgreSQL ${version}`, 'PostgreSQL 15 or newer is needed')]
  },
}

export const migrations: Check = {
  name: 'migrations',
  async look({ db }) {
    const pending = await pendingMigrations(db)
    if (pending.length === 0) return []
    return [
      wrong(
        `the database lacks ${pending.join(', ')}`,
        `${program} migrate, as the role that owns the tables`,
      ),
    ]
  },
}

/** What the API and the triggers read of the host's tables. */
const hostColumns: Record<string, string[]> = {
  projects: ['id', 'name', 'status', 'webhook_url', 'created_at', 'updated_at'],
  tickets: ['id', 'project_id', 'title', 'status', 'webhook_url', 'created_at', 'updated_at'],
  tasks: [
    ...['id', 'ticket_id', 'title', 'status', 'assigned_agent_id', 'result', 'error_message', 'retry_count'],
    ...['max_retries', 'started_at', 'completed_at', 'created_at', 'updated_at'],
  ],
  agents: ['id', 'agent_type', 'status', 'last_heartbeat', 'created_at', 'updated_at'],
}

export const columns: Check = {
  name: "columns of the host's tables",
  async look({ db }) {
    const findings: Finding[] = []
    for (const [table, wanted] of Object.entries(hostColumns)) {
      const { rows } = await sql<{ name: string }>`
        select attname as name from pg_attribute
        where attrelid = to_regclass(${table}) and attnum > 0 and not attisdropped`.execute(db)
      const missing = wanted.filter((column) => !rows.some(({ name }) => name === column))
      if (missing.length > 0) {
        findings.push(
          wrong(
            `${table} lacks ${missing.join(', ')}: the API fails on it, and the search for stuck agents may`,
            `rename back what was renamed, or add what was dropped: alter table ${table} rename column <new> to ${missing[0]!}`,
          ),
        )
      }
    }
    return findings
  },
}

const service = [
  'webhook_outbox',
  'webhook_history',
  'webhook_attempts',
  'webhook_endpoints',
  'webhook_claims',
  'webhook_installation',
  'webhook_project_secrets',
  'agent_stuck_episodes',
  'webhook_stuck_sweep',
]

/** What only the service calls, and nobody else may. */
const functions = ['webhook_claim', 'webhook_settle', 'webhook_confirm_installation']

export const grants: Check = {
  name: 'rights of this role',
  async look({ db }) {
    const { rows: closed } = await sql<{ role: string; name: string }>`
      select current_user as role, oid::regprocedure::text as name from pg_proc
      where proname = any(array[${sql.join(functions)}]) and pg_function_is_visible(oid)
        and not has_function_privilege(oid, 'execute')`.execute(db)
    const { rows } = await sql<{ role: string; relation: string; privilege: string }>`
      select current_user as role, relation, privilege
      from unnest(array[${sql.join(service)}]::text[]) relation, unnest(array['select', 'insert', 'update', 'delete']) privilege
      where to_regclass(relation) is not null and not has_table_privilege(to_regclass(relation), privilege)`.execute(
      db,
    )
    const tables = [...Map.groupBy(rows, ({ relation }) => relation)].map(([relation, lacking]) => {
      const privileges = lacking.map(({ privilege }) => privilege).join(', ')
      const { role } = lacking[0]!
      return wrong(
        `${role} lacks ${privileges} on ${relation}`,
        `grant ${privileges} on ${relation} to ${role}`,
      )
    })
    const calls = closed.map(({ role, name }) =>
      wrong(`${role} lacks execute on ${name}`, `grant execute on function ${name} to ${role}`),
    )
    return [...tables, ...calls]
  },
}

const parents = [
  'webhook_history_delivered',
  'webhook_history_dead',
  'webhook_attempts_ok',
  'webhook_attempts_failed',
]

export const partitions: Check = {
  name: 'partitions',
  async look({ db }) {
    const findings: Finding[] = []
    const days = await partitionDaysAhead(db)
    if (days < warnBelowDays) {
      findings.push(
        wrong(
          `partitions are made for ${Math.max(days, 0)} days ahead only: a dispatcher makes them, and its log says what keeps it from it`,
          'select webhook_create_partitions(14)',
        ),
      )
    }
    for (const parent of parents) {
      const time = parent.startsWith('webhook_history') ? 'settled_at' : 'started_at'
      const { rows } = await sql<{ rows: number; coming: number }>`
        select count(*)::integer as rows,
          count(*) filter (where ${sql.ref(time)} >= date_trunc('day', now() at time zone 'UTC') at time zone 'UTC')::integer as coming
        from ${sql.table(`${parent}_default`)}`.execute(db)
      const { rows: all, coming } = rows[0]!
      if (coming > 0) {
        findings.push(
          wrong(
            `${coming} rows of today or later are in ${parent}_default, which retention does not drop by the day`,
            'select webhook_create_partitions(14), which moves them',
          ),
        )
      } else if (all > 0) {
        findings.push(
          note(
            `${all} rows of past days are in ${parent}_default: their days were not made in time`,
            'nothing: they are deleted when their retention is over',
          ),
        )
      }
    }
    return findings
  },
}
