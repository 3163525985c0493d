import { type Kysely, sql } from 'kysely'
import { wakeDispatcher } from '../capture.ts'
import { currentSchema } from '../search-path.ts'

/**
 * A changed webhook_url moves what the project or ticket is still owed to the URL that now applies; where none applies any
 * more, it is discarded with the reason url_removed. What is in flight is left to its attempt. By triggers, so that it holds
 * whoever changes the URL; in the shape that capture has, and for its reasons.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  const schema = await currentSchema(db)
  await sql`set local lock_timeout = '10s'`.execute(db)
  await createMove(
    db,
    'tickets',
    sql`
      select o.id, coalesce(nullif((changed).webhook_url, ''), nullif(project.webhook_url, ''))::text as url
      from webhook_outbox o left join projects project on project.id = (changed).project_id
      where o.ticket_id = (changed).id and o.state = 'pending'`,
  )
  await createMove(
    db,
    'projects',
    sql`
      select o.id, nullif((changed).webhook_url, '')::text as url
      from webhook_outbox o left join tickets ticket on ticket.id = o.ticket_id
      where o.project_id = (changed).id and o.state = 'pending' and nullif(ticket.webhook_url, '') is null`,
  )
  for (const table of ['tickets', 'projects'] as const) {
    const move = sql.id(`webhook_move_${table}`)
    const trigger = sql.id(`webhook_url_of_${table}`)
    await sql`
      create function ${trigger}() returns trigger language plpgsql security definer as $$
      begin
        perform ${sql.id(schema, `webhook_move_${table}`)}(new);
        ${wakeDispatcher(schema)}
        return null;
      end $$`.execute(db)
    await sql`comment on function ${trigger}() is 'Moves what is owed when a webhook_url changes'`.execute(db)
    await sql`revoke execute on function ${trigger}(), ${move} from public`.execute(db)
    await sql`
      create trigger ${trigger} after update on ${sql.id(table)} for each row
      when (old.webhook_url is distinct from new.webhook_url) execute function ${trigger}()`.execute(db)
  }
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`set local lock_timeout = '10s'`.execute(db)
  for (const table of ['tickets', 'projects'] as const) {
    // CASCADE takes the trigger, wherever the host has moved its table, and nothing else can depend on it.
    await sql`drop function ${sql.id(`webhook_url_of_${table}`)}() cascade`.execute(db)
    await sql`drop function ${sql.id(`webhook_move_${table}`)}`.execute(db)
  }
}

/** @param owed the ids of what is owed, each with the URL that now applies */
async function createMove(
  db: Kysely<unknown>,
  table: 'tickets' | 'projects',
  owed: ReturnType<typeof sql>,
): Promise<void> {
  await sql`
    create function ${sql.id(`webhook_move_${table}`)}(changed ${sql.id(table)}) returns void
    language sql volatile
    begin atomic
      -- Locked in the order of their ids, so that two changes at once do not wait for each other; what was claimed before the
      -- lock was had is no longer pending, and left alone.
      with owed as materialized (${owed} order by o.id for update of o),
      moved as (
        update webhook_outbox o set url = n.url
        from owed n where o.id = n.id and n.url is not null and o.url <> n.url
      ),
      removed as (
        delete from webhook_outbox o using owed n
        where o.id = n.id and n.url is null
        returning o.*
      )
      insert into webhook_history (event_id, event_type, entity_type, entity_id, project_id, ticket_id, task_id, agent_id,
        url, payload, traceparent, outcome, attempts, last_status, last_error, created_at)
      select event_id, event_type, entity_type, entity_id, project_id, ticket_id, task_id, agent_id,
        url, payload, traceparent, 'discarded', attempts, last_status, 'url_removed', created_at
      from removed;
    end`.execute(db)
  await sql`
    comment on function ${sql.id(`webhook_move_${table}`)} is
      'Moves what is owed to the URL that now applies, or discards it where none does'`.execute(db)
}
