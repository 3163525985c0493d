import { sql } from 'kysely'
import { type Check, type Finding, type Patient, wrong } from './finding.ts'

/** The triggers of the migrations 0004, 0005 and 0008: without them changes are lost, and nobody is told. */
const triggers = [
  {
    table: 'tasks',
    function: 'webhook_capture_task',
    // Another one where tasks is partitioned: see 0004_capture.
    create: `create trigger webhook_capture_task after update on tasks for each row when (old.status is distinct from new.status and new.status::text collate "C" in ('completed', 'failed')) execute function webhook_capture_task()`,
    without: 'completed and failed tasks send nothing',
  },
  {
    table: 'agent_stuck_episodes',
    function: 'webhook_capture_stuck_agent',
    create:
      'create trigger webhook_capture_stuck_agent after insert on agent_stuck_episodes for each row when (new.ended_at is null) execute function webhook_capture_stuck_agent()',
    without: 'stuck agents send nothing',
  },
  {
    table: 'agents',
    function: 'webhook_heartbeat',
    create:
      'create trigger webhook_heartbeat after update on agents for each row when (isfinite(new.last_heartbeat) and (isfinite(old.last_heartbeat) is not true or new.last_heartbeat > old.last_heartbeat)) execute function webhook_heartbeat()',
    without: 'a heartbeat ends no stuck episode',
  },
  ...(['tickets', 'projects'] as const).map((table) => ({
    table,
    function: `webhook_url_of_${table}`,
    create: `create trigger webhook_url_of_${table} after update on ${table} for each row when (old.webhook_url is distinct from new.webhook_url) execute function webhook_url_of_${table}()`,
    without: 'a changed webhook_url does not move what is owed',
  })),
]

interface TriggerRow {
  name: string
  /** pg_trigger.tgenabled: O and A fire, D and R do not. */
  enabled: string
  kind: string
}

export const capture: Check = {
  name: 'capture triggers',
  async look({ db }) {
    const findings: Finding[] = []
    for (const wanted of triggers) {
      const { rows } = await sql<TriggerRow>`
        select t.tgname as name, t.tgenabled as enabled, c.relkind as kind
        from pg_class c left join pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal
          and t.tgfoid = to_regproc(${wanted.function})
        where c.oid = to_regclass(${wanted.table})`.execute(db)
      findings.push(...judge(wanted, rows[0]))
    }
    return findings
  },
}

function judge(
  { table, create, without }: (typeof triggers)[number],
  row: TriggerRow | undefined,
): Finding[] {
  if (row === undefined) {
    return [
      wrong(
        `there is no table ${table} on the search_path: ${without}`,
        'check the search_path of the role, and DATABASE_URL',
      ),
    ]
  }
  if (row.name === null) {
    const partitioned = row.kind === 'p' && table === 'tasks'
    const mend = partitioned
      ? create.replace('trigger webhook_capture_task after', 'trigger zzz_webhook_capture_task before')
      : create
    return [wrong(`the trigger on ${table} is missing: ${without}`, mend)]
  }
  if (row.enabled === 'D' || row.enabled === 'R') {
    return [
      wrong(
        `the trigger ${row.name} on ${table} is disabled: ${without}`,
        `alter table ${table} enable trigger ${row.name}`,
      ),
    ]
  }
  return []
}

/** Capture runs with the rights of the functions' owner, as writers hold none on this service's tables. */
export const functions: Check = {
  name: 'capture functions and their rights',
  async look({ db }) {
    const { rows } = await sql<{
      name: string
      definer: boolean
      open: boolean
      owner: string
      lacking: string[]
    }>`
      select p.oid::regprocedure::text as name, p.prosecdef as definer, r.rolname as owner,
        has_function_privilege('public', p.oid, 'execute') as open,
        array(
          select need.privilege || ' on ' || need.relation
          from (values ('webhook_outbox', 'insert'), ('tickets', 'select'), ('projects', 'select'), ('agent_stuck_episodes', 'update'))
            need (relation, privilege)
          where to_regclass(need.relation) is not null and not has_table_privilege(p.proowner, to_regclass(need.relation), need.privilege)
        ) as lacking
      from pg_proc p join pg_roles r on r.oid = p.proowner
      where p.oid in (${sql.join(triggers.map((trigger) => sql`to_regproc(${trigger.function})`))})`.execute(
      db,
    )
    const missing = triggers.filter(({ function: name }) => !rows.some((row) => row.name === `${name}()`))
    return [
      ...missing.map(({ function: name, without }) =>
        wrong(
          `the function ${name}() is missing: ${without}`,
          'restore it from db/schema.sql of this version',
        ),
      ),
      ...rows.flatMap(({ name, definer, open, owner, lacking }) => [
        ...(definer
          ? []
          : [
              wrong(
                `${name} runs with the rights of whoever changes a row: writers without grants on webhook_outbox fail`,
                `alter function ${name} security definer`,
              ),
            ]),
        ...(open
          ? [
              wrong(
                `everybody may execute ${name}: a trigger of their own could write events`,
                `revoke execute on function ${name} from public`,
              ),
            ]
          : []),
        ...lacking.map((privilege) =>
          wrong(
            `${owner}, who owns ${name}, lacks ${privilege}: changes of the host's tables fail`,
            `grant ${privilege} to ${owner}`,
          ),
        ),
      ]),
    ]
  },
}

/** A restore or a replication tool leaves this behind, and then no trigger fires, in silence. */
export const replicationRole: Check = {
  name: 'session_replication_role',
  async look({ db }: Patient) {
    const { rows } = await sql<{ who: string; reset: string }>`
      select
        coalesce('role ' || r.rolname, 'all roles') || coalesce(' in database ' || d.datname, '') as who,
        'alter ' || coalesce('role ' || quote_ident(r.rolname) || coalesce(' in database ' || quote_ident(d.datname), ''),
          'database ' || quote_ident(d.datname)) || ' reset session_replication_role' as reset
      from pg_db_role_setting s
      left join pg_roles r on r.oid = s.setrole
      left join pg_database d on d.oid = s.setdatabase
      where (d.datname is null or d.datname = current_database())
        and exists (select from unnest(s.setconfig) c where c ~ '^session_replication_role=' and c <> 'session_replication_role=origin')`.execute(
      db,
    )
    const now = await sql<{
      value: string
    }>`select current_setting('session_replication_role') as value`.execute(db)
    const value = now.rows[0]!.value
    const findings = rows.map(({ who, reset }) =>
      wrong(`session_replication_role is set for ${who}: no capture trigger fires in its sessions`, reset),
    )
    if (findings.length > 0 || value === 'origin') return findings
    return [
      wrong(
        `session_replication_role is ${value}: no capture trigger fires`,
        'take it out of postgresql.conf and of connection options, and reload',
      ),
    ]
  },
}
