import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { Database } from '../database/tables.ts'

export interface SweepOptions {
  /** Milliseconds without a heartbeat. */
  stuckAfterMs: number
  /** How long ago the last sweep must be to count as an absence. */
  awayAfterMs: number
}

/** What a writer of the host holds locked is left to the next sweep. */
const longestLockWait = '100ms'

/**
 * One look for agents without a heartbeat. It opens an episode for each agent that
 *
 * - holds a task (assigned or running) for which `stuckAfterMs` have passed since the later of the agent's last
 *   heartbeat and the task's start; a task that is only assigned starts when it was last touched, and infinite times count
 *   as unknown,
 * - is neither terminated nor failed, and has no open episode.
 *
 * The insert is the detection, and captures the events (see 0005_stuck_agents). It also ends the episodes of agents that
 * hold no task any more: what is assigned to such an agent later starts anew.
 *
 * After an absence of the sweep itself nobody is judged for `stuckAfterMs`: heartbeats may have been lost while this
 * service or the database was away, and a storm of false alarms would follow.
 *
 * The host's transactions touch the same rows, for as long as they like. So the sweep waits for none of them, and each
 * episode is opened in a transaction of its own: one agent that is locked keeps no other from being found.
 *
 * @returns ids of the agents found stuck; null where another dispatcher begins a sweep at this moment
 */
export async function sweepStuckAgents(
  db: Kysely<Database>,
  options: SweepOptions,
): Promise<string[] | null> {
  const judges = await takeTurn(db, options)
  if (judges === null) return null
  await endOfThoseThatHoldNothing(db)
  if (!judges) return []
  const { rows } = await sql<{ id: string }>`
    select a.id::text as id ${lapsed(options.stuckAfterMs)}`.execute(db)
  const found: string[] = []
  for (const { id } of rows) if (await openEpisode(db, id, options.stuckAfterMs)) found.push(id)
  return found
}

/** @returns whether agents are judged now; null where somebody else has the turn */
async function takeTurn(
  db: Kysely<Database>,
  { stuckAfterMs, awayAfterMs }: SweepOptions,
): Promise<boolean | null> {
  const { rows } = await sql<{ judges: boolean }>`
    with turn as (select * from webhook_stuck_sweep for update skip locked)
    update webhook_stuck_sweep s
    set started = true, swept_at = clock_timestamp(),
      judge_from = case when turn.started and turn.swept_at < now() - ${ms(awayAfterMs)}
        then now() + ${ms(stuckAfterMs)} else turn.judge_from end
    from turn
    returning s.judge_from <= now() as judges`.execute(db)
  return rows[0]?.judges ?? null
}

async function endOfThoseThatHoldNothing(db: Kysely<Database>): Promise<void> {
  await sql`
    with over as (
      select e.ctid from agent_stuck_episodes e
      where e.ended_at is null and not exists (
        select from tasks t where t.assigned_agent_id = e.agent_id and t.status::text in ('assigned', 'running'))
      for update skip locked
    )
    update agent_stuck_episodes e set ended_at = clock_timestamp() from over where e.ctid = over.ctid`.execute(
    db,
  )
}

/** Judges the agent once more, because it may have given a heartbeat since. */
async function openEpisode(db: Kysely<Database>, id: string, stuckAfterMs: number): Promise<boolean> {
  try {
    return await db
      .transaction()
      .setIsolationLevel('read committed')
      .execute(async (trx) => {
        await sql`set local lock_timeout = ${sql.lit(longestLockWait)}`.execute(trx)
        const { rows } = await sql`
          insert into agent_stuck_episodes (agent_id, reason)
          select a.id::text, 'no_heartbeat' ${lapsed(stuckAfterMs)} and a.id = ${id}
          on conflict (agent_id) where ended_at is null do nothing
          returning agent_id`.execute(trx)
        return rows.length > 0
      })
  } catch (error) {
    // 55P03: an analysis has an episode of this agent in a transaction that is still open.
    if ((error as { code?: unknown }).code === '55P03') return false
    throw error
  }
}

/** The agents `a` without a sign of life for so long, as the FROM and WHERE of a statement. */
function lapsed(stuckAfterMs: number): RawBuilder<unknown> {
  return sql`
    from agents a
    cross join lateral (select case when isfinite(a.last_heartbeat) then a.last_heartbeat end as at) heartbeat
    where (heartbeat.at is null or heartbeat.at < now() - ${ms(stuckAfterMs)})
      and a.status::text is distinct from 'terminated' and a.status::text is distinct from 'failed'
      and not exists (select from agent_stuck_episodes e where e.agent_id = a.id and e.ended_at is null)
      and exists (
        select from tasks t
        cross join lateral (
          select case when isfinite(t.started_at) then t.started_at end as started,
            coalesce(
              case when isfinite(t.updated_at) then t.updated_at end,
              case when isfinite(t.created_at) then t.created_at end
            ) as touched
        ) task
        where t.assigned_agent_id = a.id and t.status::text in ('assigned', 'running')
          and coalesce(
            greatest(heartbeat.at, task.started, case when task.started is null and t.status::text = 'assigned' then task.touched end),
            -- Nothing else is known of either.
            task.touched, case when isfinite(a.created_at) then a.created_at end
          ) < now() - ${ms(stuckAfterMs)})`
}

function ms(value: number): RawBuilder<unknown> {
  return sql`${value}::float8 * interval '1 ms'`
}
