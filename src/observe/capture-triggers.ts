import { type Kysely, sql } from 'kysely'
import type { Database } from '../database/tables.ts'

interface CaptureTrigger {
  table: string
  function: string
  /** The SQL that makes it anew. */
  create: string
  /** What does not happen without it. */
  without: string
}

/** The triggers of the migrations 0004, 0005 and 0008: without them changes are lost, and nobody is told. */
export const captureTriggers: readonly CaptureTrigger[] = [
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

export interface TriggerFault {
  /** What is wrong, and what does not happen therefore. */
  what: string
  /** How to mend it: SQL, where SQL does it. */
  mend: string
}

interface TriggerRow {
  function: string
  name: string | null
  /** pg_trigger.tgenabled: O and A fire, D and R do not. */
  enabled: string | null
  kind: string
}

/** Triggers that are missing or do not fire, in one look at the catalogue. */
export async function findTriggerFaults(db: Kysely<Database>): Promise<TriggerFault[]> {
  const wanted = captureTriggers.map((trigger) => sql`(${trigger.table}::text, ${trigger.function}::text)`)
  const { rows } = await sql<TriggerRow>`
    select wanted.function, t.tgname as name, t.tgenabled as enabled, c.relkind as kind
    from (values ${sql.join(wanted)}) wanted ("table", function)
      join pg_class c on c.oid = to_regclass(wanted."table")
      left join pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal and t.tgfoid = to_regproc(wanted.function)`.execute(
    db,
  )
  return captureTriggers.flatMap(
    (trigger) =>
      judge(
        trigger,
        rows.find((row) => row.function === trigger.function),
      ) ?? [],
  )
}

function judge(
  { table, create, without }: CaptureTrigger,
  row: TriggerRow | undefined,
): TriggerFault | undefined {
  if (row === undefined) {
    return {
      what: `there is no table ${table} on the search_path: ${without}`,
      mend: 'check the search_path of the role, and DATABASE_URL',
    }
  }
  if (row.name === null) {
    const partitioned = row.kind === 'p' && table === 'tasks'
    const mend = partitioned
      ? create.replace('trigger webhook_capture_task after', 'trigger zzz_webhook_capture_task before')
      : create
    return { what: `the trigger on ${table} is missing: ${without}`, mend }
  }
  if (row.enabled === 'D' || row.enabled === 'R') {
    return {
      what: `the trigger ${row.name} on ${table} is disabled: ${without}`,
      mend: `alter table ${table} enable trigger ${row.name}`,
    }
  }
  return undefined
}
