import { type Kysely, sql } from 'kysely'
import { describe } from '../comments.ts'

/**
 * The orchestration system's own tables: created where they are missing, extended where they exist.
 *
 * What was created is recorded in webhook_adoption, table by table and column by column, and `down`
 * removes exactly that. A column that cannot serve stops the migration with its name: a trigger that
 * met it later would fail somebody's business transaction.
 */
type Kind = 'text' | 'integer' | 'jsonb' | 'timestamp' | 'timestamptz' | 'status'

interface Column {
  name: string
  kind: Kind
  /** The column in a table that this migration creates. */
  create: string
  /** The column where it is added to a host's table; its rows keep what `add` gives them. */
  add: string
  /** A default for rows inserted later: set apart from `add`, so that old rows stay unknown (null). */
  later?: string
}

const text = (name: string, constraint = ''): Column => ({
  name,
  kind: 'text',
  create: `text ${constraint}`,
  add: 'text',
})
const status = (initial: string): Column => ({
  name: 'status',
  kind: 'status',
  create: `text not null default '${initial}'`,
  add: 'text',
  later: `'${initial}'`,
})
const url: Column = {
  name: 'webhook_url',
  kind: 'text',
  create: 'varchar(2048)',
  add: 'varchar(2048)',
}
const count = (name: string, initial: number): Column => ({
  name,
  kind: 'integer',
  create: `integer not null default ${initial}`,
  add: `integer default ${initial}`,
})
const time = (name: string): Column => ({
  name,
  kind: 'timestamp',
  create: 'timestamptz',
  add: 'timestamptz',
})
const created = (name: string): Column => ({
  name,
  kind: 'timestamp',
  create: 'timestamptz not null default now()',
  add: 'timestamptz',
  later: 'now()',
})

const hostTables: Record<string, Column[]> = {
  projects: [
    text('id', 'primary key default gen_random_uuid()::text'),
    text('name'),
    status('active'),
    url,
    created('created_at'),
    created('updated_at'),
  ],
  tickets: [
    text('id', 'primary key default gen_random_uuid()::text'),
    text('project_id'),
    text('title'),
    status('open'),
    url,
    created('created_at'),
    created('updated_at'),
  ],
  tasks: [
    text('id', 'primary key default gen_random_uuid()::text'),
    text('ticket_id'),
    text('title'),
    status('pending'),
    text('assigned_agent_id'),
    { name: 'result', kind: 'jsonb', create: 'jsonb', add: 'jsonb' },
    text('error_message'),
    count('retry_count', 0),
    count('max_retries', 3),
    time('started_at'),
    time('completed_at'),
    created('created_at'),
    created('updated_at'),
  ],
  agents: [
    text('id', 'primary key default gen_random_uuid()::text'),
    text('agent_type'),
    status('idle'),
    { name: 'last_heartbeat', kind: 'timestamptz', create: 'timestamptz', add: 'timestamptz' },
    created('created_at'),
    created('updated_at'),
  ],
}

const serves: Record<Kind, { types: string[]; wanted: string }> = {
  text: { types: ['text', 'character varying', 'character'], wanted: 'text or varchar' },
  status: { types: ['text', 'character varying', 'character', 'enum'], wanted: 'text, varchar or an enum' },
  integer: { types: ['smallint', 'integer', 'bigint'], wanted: 'integer' },
  jsonb: { types: ['jsonb'], wanted: 'jsonb' },
  timestamp: {
    types: ['timestamp with time zone', 'timestamp without time zone'],
    wanted: 'timestamptz',
  },
  timestamptz: { types: ['timestamp with time zone'], wanted: 'timestamptz' },
}

const timePairs: Record<string, string> = { started_at: 'completed_at', completed_at: 'started_at' }

const indexes = [
  `create index tickets_project_id_idx on tickets (project_id)`,
  `create index tasks_ticket_id_idx on tasks (ticket_id)`,
  `create index tasks_held_idx on tasks (assigned_agent_id) where status in ('assigned', 'running')`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`set local lock_timeout = '10s'`.execute(db)
  const tables: { name: string; columns: Column[]; found: HostTable | undefined }[] = []
  for (const [name, columns] of Object.entries(hostTables)) {
    tables.push({ name, columns, found: await findTable(db, name) })
  }
  const refusals = [
    ...(await refuseEncoding(db)),
    ...tables.flatMap(({ columns, found }) => (found === undefined ? [] : refuse(found, columns))),
  ]
  if (refusals.length > 0) {
    throw new Error(
      `webhook-outbox cannot be added to this database, and has changed nothing: ${refusals.join('; ')}`,
    )
  }
  await sql`
    create table webhook_adoption (
      table_schema text not null,
      table_name text not null,
      column_name text,
      adopted_at timestamptz not null default now(),
      unique nulls not distinct (table_schema, table_name, column_name)
    )`.execute(db)
  await sql`
    comment on table webhook_adoption is
      'What webhook-outbox created among the host''s tables, and what its migration down removes: a whole table (column_name is null) or one column'`.execute(
    db,
  )
  for (const [column, comment] of [
    ['table_schema', 'Schema of the table'],
    ['table_name', 'The table that was created, or that got a column'],
    ['column_name', 'The column that was added; null where the whole table was created'],
    ['adopted_at', 'When it was created'],
  ] as const) {
    await sql`comment on column ${sql.ref(`webhook_adoption.${column}`)} is ${sql.lit(comment)}`.execute(db)
  }
  await commentMigrations(db)
  for (const { name, columns, found } of tables) {
    if (found === undefined) await createTable(db, name, columns)
    else await extendTable(db, found, columns)
  }
}

/** Kysely's own two tables, which it has made by now. */
async function commentMigrations(db: Kysely<unknown>): Promise<void> {
  await describe(
    db,
    'table',
    'webhook_migration',
    'The migrations of webhook-outbox that this database has',
    {
      name: 'The migration: a file of db/migrations',
      timestamp: 'When it was applied',
    },
  )
  await describe(
    db,
    'table',
    'webhook_migration_lock',
    'Lets one migration of webhook-outbox run at a time',
    {
      id: 'The one row',
      is_locked: 'Not used on Postgres, where the row itself is locked',
    },
  )
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`set local lock_timeout = '10s'`.execute(db)
  const { rows } = await sql<{ table_schema: string; table_name: string; column_name: string | null }>`
    select table_schema, table_name, column_name from webhook_adoption
    order by column_name is null, table_name, column_name`.execute(db)
  for (const { table_schema, table_name, column_name } of rows) {
    const table = sql.id(table_schema, table_name)
    // No CASCADE: what the host has since built on such a column or table is not ours to drop.
    if (column_name === null) await sql`drop table if exists ${table}`.execute(db)
    else await sql`alter table if exists ${table} drop column if exists ${sql.id(column_name)}`.execute(db)
  }
  await sql`drop table webhook_adoption`.execute(db)
}

interface HostTable {
  oid: string
  schema: string
  name: string
  /** pg_class.relkind: r is a table, p a partitioned one. */
  kind: string
  /** Whether tables inherit from it that are no partitions. */
  inherited: boolean
  /** Whether a row-level security policy hides rows from the role that migrates, whose rights the triggers have. */
  hidden: boolean
  columns: Map<string, HostColumn>
}

interface HostColumn {
  name: string
  /** The base of a domain, however deep (a domain over text serves as text does), or `enum`. */
  type: string
  /** As the host declared it. */
  shown: string
}

async function findTable(db: Kysely<unknown>, name: string): Promise<HostTable | undefined> {
  const { rows } = await sql<Omit<HostTable, 'columns'>>`
    select c.oid::text as oid, n.nspname as schema, c.relname as name, c.relkind as kind,
      c.relkind = 'r' and exists (select from pg_inherits where inhparent = c.oid) as inherited,
      c.relkind in ('r', 'p') and row_security_active(c.oid) as hidden
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.oid = to_regclass(${name})`.execute(db)
  const found = rows[0]
  if (found === undefined) return undefined
  const columns = await sql<HostColumn>`
    select a.attname as name,
      case when coalesce(b.typtype, t.typtype) = 'e' then 'enum'
           else format_type(coalesce(b.oid, t.oid), null) end as type,
      format_type(a.atttypid, a.atttypmod) as shown
    from pg_attribute a
    join pg_type t on t.oid = a.atttypid
    left join lateral (
      with recursive base as (
        select t.typbasetype as oid where t.typtype = 'd'
        union all
        select d.typbasetype from base join pg_type d on d.oid = base.oid where d.typtype = 'd'
      )
      select y.oid, y.typtype from base join pg_type y on y.oid = base.oid where y.typtype <> 'd'
    ) b on true
    where a.attrelid = ${found.oid}::oid and a.attnum > 0 and not a.attisdropped`.execute(db)
  return { ...found, columns: new Map(columns.rows.map((column) => [column.name, column])) }
}

/** Everything about a host's table that cannot serve, each with what it must be. */
function refuse(table: HostTable, columns: Column[]): string[] {
  const shown = `${table.schema}.${table.name}`
  if (table.kind !== 'r' && table.kind !== 'p') {
    return [
      `${shown} is not a table (views and foreign tables have no row triggers), and must be one, or be ` +
        `absent, so that webhook-outbox can create its own`,
    ]
  }
  const refusals: string[] = []
  if (table.inherited) {
    refusals.push(
      `${shown} has tables that inherit from it (their rows fire no trigger of it), and must have none, or be partitioned`,
    )
  }
  if (table.hidden) {
    refusals.push(
      `${shown} has row-level security that holds for this role too (its events would be lost with the rows that it hides): ` +
        'migrate as a role that it does not hold for, such as the owner without FORCE, or one with BYPASSRLS',
    )
  }
  for (const { name, kind } of columns) {
    const found = table.columns.get(name)
    const { types, wanted } = serves[kind]
    if (found === undefined && name === 'id')
      refusals.push(`${shown} has no column "id", and must have one: text`)
    if (found !== undefined && !types.includes(found.type)) {
      refusals.push(`${shown}.${name} is ${found.shown}, and must be ${wanted}`)
    }
  }
  const [started, completed] = [table.columns.get('started_at'), table.columns.get('completed_at')]
  if (started !== undefined && completed !== undefined && started.type !== completed.type) {
    refusals.push(
      `${shown}.started_at (${started.shown}) and completed_at (${completed.shown}) must be of one type`,
    )
  }
  return refusals
}

/** In other encodings a text may have no UTF-8 form, which webhooks are sent in. */
async function refuseEncoding(db: Kysely<unknown>): Promise<string[]> {
  const { rows } = await sql<{ server_encoding: string }>`show server_encoding`.execute(db)
  const encoding = rows[0]?.server_encoding
  return encoding === 'UTF8' ? [] : [`the encoding of the database is ${encoding}, and must be UTF8`]
}

async function createTable(db: Kysely<unknown>, name: string, columns: Column[]): Promise<void> {
  const definitions = columns.map((c) => `${c.name} ${c.create}`).join(', ')
  await sql`create table ${sql.id(name)} (${sql.raw(definitions)})`.execute(db)
  // The API lists newest first.
  await sql`
    create index ${sql.id(`${name}_created_at_idx`)} on ${sql.id(name)} (created_at desc nulls last, id desc)`.execute(
    db,
  )
  for (const index of indexes.filter((i) => i.includes(` on ${name} `))) await sql.raw(index).execute(db)
  await sql`
    insert into webhook_adoption (table_schema, table_name) values (current_schema(), ${name})`.execute(db)
}

async function extendTable(db: Kysely<unknown>, table: HostTable, columns: Column[]): Promise<void> {
  const qualified = sql.id(table.schema, table.name)
  for (const column of columns.filter(({ name }) => !table.columns.has(name))) {
    // Two times that are subtracted are of one type: a host's timestamp without a zone stays comparable.
    const partner = table.columns.get(timePairs[column.name] ?? '')
    const type = partner?.type ?? column.add
    await sql`alter table ${qualified} add column ${sql.id(column.name)} ${sql.raw(type)}`.execute(db)
    if (column.later !== undefined) {
      await sql`alter table ${qualified} alter column ${sql.id(column.name)} set default ${sql.raw(column.later)}`.execute(
        db,
      )
    }
    await sql`
      insert into webhook_adoption (table_schema, table_name, column_name)
      values (${table.schema}, ${table.name}, ${column.name})`.execute(db)
  }
}
