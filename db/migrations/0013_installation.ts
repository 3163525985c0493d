import { type Kysely, sql } from 'kysely'
import { describe } from '../comments.ts'
import { pinnedSearchPath } from '../search-path.ts'

/**
 * Which installation this database belongs to, so that a copy of it (a restored backup, a clone for staging) does not send
 * what the original sends too. Nothing is stored until a service starts with a name: INSTALLATION.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table webhook_installation (
      name text not null
        constraint webhook_installation_name_check check (name <> '' and char_length(name) <= 200),
      stored_at timestamptz not null default clock_timestamp()
    )`.execute(db)
  await sql`alter table webhook_installation replica identity full`.execute(db)
  await sql`create unique index webhook_installation_one_row on webhook_installation ((true))`.execute(db)
  await describe(
    db,
    'table',
    'webhook_installation',
    'One row, or none: the INSTALLATION that sends the events of this database. A service under another name sends nothing. Change it by webhook_confirm_installation',
    {
      name: 'Its name',
      stored_at: 'When a service stored it first, or an operator confirmed it',
    },
  )

  const path = await pinnedSearchPath(db)
  await sql`
    create function webhook_confirm_installation(name text) returns void
    language sql set search_path = ${path} as $$
      delete from webhook_installation where webhook_confirm_installation.name is null;
      insert into webhook_installation (name)
      select webhook_confirm_installation.name where webhook_confirm_installation.name is not null
      on conflict ((true)) do update set name = excluded.name, stored_at = clock_timestamp();
    $$`.execute(db)
  await sql`
    comment on function webhook_confirm_installation(text) is
      'From now on services under this name send the events of this database, and no others; null: the name is forgotten, and services without one send again'`.execute(
    db,
  )
  await sql`revoke execute on function webhook_confirm_installation(text) from public`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop function webhook_confirm_installation(text)`.execute(db)
  await sql`drop table webhook_installation`.execute(db)
}
