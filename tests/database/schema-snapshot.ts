import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { TestDatabase } from '../support/database.ts'

/**
 * Everything that a database's own schemas hold, one line an object: what must be the same after up and down.
 * Also as pg_dump tells it, where the one on PATH is not older than the server.
 */
export async function schemaSnapshot(db: TestDatabase): Promise<string[]> {
  const lines = await db.query<{ line: string }>(catalog)
  return [...lines.map((row) => row.line), ...(await dumped(db))]
}

/** A checksum of the rows of each table, by its name. */
export async function rowChecksums(db: TestDatabase): Promise<Record<string, string>> {
  const tables = await db.query<{ name: string }>(`
    select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') order by 1`)
  const sums: Record<string, string> = {}
  for (const { name } of tables) {
    const [row] = await db.query<{ sum: string }>(
      `select count(*) || ' ' || coalesce(md5(string_agg(t::text, e'\\n' order by t::text)), '') as sum from ${name} t`,
    )
    sums[name] = row!.sum
  }
  return sums
}

const ours = `n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and n.nspname not like 'pg_temp%' and n.nspname not like 'pg_toast%'`

const catalog = `
  select line from (
    select format('schema %I %s', n.nspname, n.nspacl) as line from pg_namespace n where ${ours}
    union all
    select format('relation %I.%I %s %s %s %s %s %s %s %s', n.nspname, c.relname, c.relkind, c.relpersistence, c.reloptions,
      c.relacl, c.relrowsecurity, c.relowner::regrole, pg_get_expr(c.relpartbound, c.oid), obj_description(c.oid, 'pg_class'))
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where ${ours}
    union all
    select format('column %s.%I %s %s %s %s %s %s %s %s', a.attrelid::regclass, a.attname,
      (select count(*) from pg_attribute p where p.attrelid = a.attrelid and p.attnum between 1 and a.attnum and not p.attisdropped),
      format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
      concat(a.attidentity, a.attgenerated, a.attstorage), a.attcollation, a.attacl, col_description(a.attrelid, a.attnum))
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where ${ours} and a.attnum > 0 and not a.attisdropped
    union all
    select format('constraint %s %I %s %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid), obj_description(c.oid, 'pg_constraint'))
    from pg_constraint c join pg_namespace n on n.oid = c.connamespace where ${ours}
    union all
    select format('index %s %s', pg_get_indexdef(i.indexrelid), obj_description(i.indexrelid, 'pg_class'))
    from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace where ${ours}
    union all
    select format('trigger %s %s %s', pg_get_triggerdef(t.oid), t.tgenabled, obj_description(t.oid, 'pg_trigger'))
    from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace where ${ours} and not t.tgisinternal
    union all
    select format('function %s %s %s', pg_get_functiondef(p.oid), p.proacl, obj_description(p.oid, 'pg_proc'))
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace where ${ours} and p.prokind in ('f', 'p')
    union all
    select format('type %I.%I %s %s %s %s', n.nspname, t.typname, t.typtype, t.typbasetype::regtype, t.typacl,
      (select string_agg(e.enumlabel, ',' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid))
    from pg_type t join pg_namespace n on n.oid = t.typnamespace where ${ours}
    union all
    select format('view %I.%I %s', v.schemaname, v.viewname, v.definition) from pg_views v join pg_namespace n on n.nspname = v.schemaname where ${ours}
    union all
    select format('policy %s %s', p.polrelid::regclass, p.polname) from pg_policy p
    union all
    select format('extension %s', e.extname) from pg_extension e
    union all
    select format('default acl %s %s', d.defaclobjtype, d.defaclacl) from pg_default_acl d
  ) lines order by line`

async function dumped(db: TestDatabase): Promise<string[]> {
  const run = promisify(execFile)
  const version = await run('pg_dump', ['--version']).catch(() => ({ stdout: '' }))
  const [server] = await db.query<{ major: number }>(
    `select current_setting('server_version_num')::int / 10000 as major`,
  )
  if (Number(/\d+/.exec(version.stdout)?.[0] ?? 0) < server!.major) return []
  const { stdout } = await run('pg_dump', ['--schema-only', `--dbname=${db.url}`], {
    maxBuffer: 64 * 1024 * 1024,
  })
  // Its random key is another one each time.
  return stdout.split('\n').filter((line) => !/^\\(un)?restrict /.test(line))
}
