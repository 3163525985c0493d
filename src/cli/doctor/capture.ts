import { sql } from 'kysely'
import { captureTriggers, findTriggerFaults } from '../../observe/capture-triggers.ts'
import { type Check, type Patient, wrong } from './finding.ts'

export const capture: Check = {
  name: 'capture triggers',
  async look({ db }) {
    return (await findTriggerFaults(db)).map(({ what, mend }) => wrong(what, mend))
  },
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
      where p.oid in (${sql.join(captureTriggers.map((trigger) => sql`to_regproc(${trigger.function})`))})`.execute(
      db,
    )
    const missing = captureTriggers.filter(
      ({ function: name }) => !rows.some((row) => row.name === `${name}()`),
    )
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
