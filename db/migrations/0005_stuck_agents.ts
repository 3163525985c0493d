import { type Kysely, sql } from 'kysely'
import { insertEvents, wakeDispatcher } from '../capture.ts'
import { describe } from '../comments.ts'
import { currentSchema } from '../search-path.ts'

/**
 * Stuck agents. An insert into agent_stuck_episodes is the detection, whoever makes it: the sweep for want of
 * a heartbeat, or an analysis of any kind. It captures one event for each task that the agent holds.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  const schema = await currentSchema(db)
  await sql`set local lock_timeout = '10s'`.execute(db)
  await createTables(db)

  await sql`
    create function webhook_stuck_event(episode agent_stuck_episodes)
    returns table (
      event_type text, entity_id text, project_id text, ticket_id text, task_id text, agent_id text, url text, payload json)
    language sql stable
    begin atomic
      select e.event_type, e.entity_id, e.project_id, e.ticket_id, e.task_id, e.entity_id, e.url, (
        select row_to_json(body) from (select
          e.event_type,
          to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "timestamp",
          'agent' as entity_type, e.entity_id, e.project_id, e.ticket_id, e.task_id, e.entity_id as agent_id,
          (select row_to_json(data) from (select
            webhook_time(e.last_heartbeat) as last_heartbeat,
            webhook_text((episode).reason) as stuck_reason,
            case when webhook_time(e.last_heartbeat) is not null
              then trunc(extract(epoch from clock_timestamp()) - extract(epoch from e.last_heartbeat))
              end as seconds_since_heartbeat
          ) data) as data
        ) body
      )
      from (
        select 'agent.stuck' as event_type, (episode).agent_id as entity_id, ticket.project_id::text as project_id,
          ticket.id::text as ticket_id, task.id::text as task_id, agent.last_heartbeat,
          coalesce(nullif(ticket.webhook_url, ''), nullif(project.webhook_url, ''))::text as url
        from tasks task
        join tickets ticket on ticket.id = task.ticket_id
        left join projects project on project.id = ticket.project_id
        left join agents agent on agent.id = (episode).agent_id
        where task.assigned_agent_id = (episode).agent_id and task.status::text in ('assigned', 'running')
      ) e
      where e.url is not null;
    end`.execute(db)
  await sql`
    comment on function webhook_stuck_event(agent_stuck_episodes) is
      'The events of a stuck agent, one for each task that it holds; none for tasks to which no URL applies'`.execute(
    db,
  )

  await sql`
    create function webhook_capture_stuck_agent() returns trigger language plpgsql security definer as $$
    begin
      ${insertEvents(schema, 'agent', 'webhook_stuck_event')}
      if found then
        ${wakeDispatcher(schema)}
      end if;
      return null;
    end $$`.execute(db)
  await sql`
    comment on function webhook_capture_stuck_agent() is
      'Writes the events of a stuck agent to webhook_outbox, in the transaction that opens the episode'`.execute(
    db,
  )

  await sql`revoke execute on function webhook_capture_stuck_agent() from public`.execute(db)
  await openSilently(db)
  await sql`
    create trigger webhook_capture_stuck_agent after insert on agent_stuck_episodes for each row
    when (new.ended_at is null) execute function webhook_capture_stuck_agent()`.execute(db)
  await createHeartbeatTrigger(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`set local lock_timeout = '10s'`.execute(db)
  // CASCADE takes the trigger, wherever the host has moved its table, and nothing else can depend on it.
  await sql`drop function webhook_heartbeat() cascade`.execute(db)
  await sql`drop function webhook_end_missing_heartbeat`.execute(db)
  await sql`drop trigger webhook_capture_stuck_agent on agent_stuck_episodes`.execute(db)
  await sql`drop function webhook_capture_stuck_agent()`.execute(db)
  await sql`drop function webhook_stuck_event(agent_stuck_episodes)`.execute(db)
  await sql`drop table webhook_stuck_sweep`.execute(db)
  await sql`drop table agent_stuck_episodes`.execute(db)
}

async function createTables(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table agent_stuck_episodes (
      agent_id text not null,
      reason text not null default 'unspecified',
      started_at timestamptz not null default clock_timestamp(),
      ended_at timestamptz
    )`.execute(db)
  // Without a key of its own it could not be updated where a publication of the host covers all tables.
  await sql`alter table agent_stuck_episodes replica identity full`.execute(db)
  await sql`
    create unique index agent_stuck_episodes_open_key on agent_stuck_episodes (agent_id) where ended_at is null`.execute(
    db,
  )
  await sql`
    create index agent_stuck_episodes_started_at_idx on agent_stuck_episodes (agent_id, started_at)`.execute(
    db,
  )
  await describe(
    db,
    'table',
    'agent_stuck_episodes',
    'When agents were stuck: at most one open episode an agent. An insert is the detection, and captures agent.stuck for each task that the agent holds',
    {
      agent_id: 'The agent',
      reason: 'no_heartbeat, or what an analysis found',
      started_at: 'When it was detected',
      ended_at:
        'When it ended, null while it lasts: by a heartbeat for no_heartbeat, by hand, or when the agent holds no task any more',
    },
  )

  await sql`
    create table webhook_stuck_sweep (
      swept_at timestamptz not null default clock_timestamp(),
      judge_from timestamptz not null default clock_timestamp(),
      started boolean not null default false
    )`.execute(db)
  await sql`alter table webhook_stuck_sweep replica identity full`.execute(db)
  await sql`create unique index webhook_stuck_sweep_one_row on webhook_stuck_sweep ((true))`.execute(db)
  await sql`insert into webhook_stuck_sweep default values`.execute(db)
  await describe(
    db,
    'table',
    'webhook_stuck_sweep',
    'One row: when dispatchers last looked for agents without a heartbeat. Dispatchers take turns by locking it',
    {
      swept_at: 'When the last sweep ended',
      judge_from: 'No agent is judged before this time: after an absence agents get time to report first',
      started: 'Whether there has been a sweep since the installation',
    },
  )
}

/**
 * What was stale before this service came is no news: it is on record, and sends nothing. Times count as the
 * sweep counts them (src/detection/stuck-sweep.ts), or its first look would send what is skipped here.
 */
async function openSilently(db: Kysely<unknown>): Promise<void> {
  await sql`
    insert into agent_stuck_episodes (agent_id, reason)
    select distinct agent.id::text, 'no_heartbeat'
    from agents agent
    join tasks task on task.assigned_agent_id = agent.id and task.status::text in ('assigned', 'running')
    cross join lateral (
      select coalesce(
        case when isfinite(task.updated_at) then task.updated_at end,
        case when isfinite(task.created_at) then task.created_at end
      ) as at
    ) touched
    where agent.status::text is distinct from 'terminated' and agent.status::text is distinct from 'failed'
      and coalesce(
        greatest(
          case when isfinite(agent.last_heartbeat) then agent.last_heartbeat end,
          case when isfinite(task.started_at) then task.started_at
            when task.status::text = 'assigned' then touched.at end
        ),
        touched.at,
        case when isfinite(agent.created_at) then agent.created_at end
      ) < now() - interval '90 seconds'`.execute(db)
}

/** Two functions for the reasons that capture has them: tracked columns, and the rights of the owner. */
async function createHeartbeatTrigger(db: Kysely<unknown>): Promise<void> {
  const schema = await currentSchema(db)
  await sql`
    create function webhook_end_missing_heartbeat(agent agents) returns void
    language sql volatile
    begin atomic
      update agent_stuck_episodes set ended_at = clock_timestamp()
      where agent_id = (agent).id and ended_at is null and reason = 'no_heartbeat';
    end`.execute(db)
  await sql`
    comment on function webhook_end_missing_heartbeat(agents) is
      'Ends the open episode for want of a heartbeat of an agent that gave one'`.execute(db)
  // Called with an agent of their own making, it would end anyone's episode.
  await sql`revoke execute on function webhook_end_missing_heartbeat(agents) from public`.execute(db)
  await sql`
    create function webhook_heartbeat() returns trigger language plpgsql security definer as $$
    begin
      perform ${sql.id(schema, 'webhook_end_missing_heartbeat')}(new);
      return null;
    end $$`.execute(db)
  await sql`
    comment on function webhook_heartbeat() is 'Ends the episode for want of a heartbeat when one arrives'`.execute(
    db,
  )
  await sql`revoke execute on function webhook_heartbeat() from public`.execute(db)
  // Only a later heartbeat is one: a value that moves backwards is a correction. An infinite one is unknown.
  await sql`
    create trigger webhook_heartbeat after update on agents for each row
    when (isfinite(new.last_heartbeat)
      and (isfinite(old.last_heartbeat) is not true or new.last_heartbeat > old.last_heartbeat))
    execute function webhook_heartbeat()`.execute(db)
}
