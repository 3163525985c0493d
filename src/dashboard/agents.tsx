import { type Kysely, sql } from 'kysely'
import { time } from '../api/answer.ts'
import type { Agent, Page } from '../client/types.ts'
import type { Database } from '../database/tables.ts'
import { here, page } from './layout.tsx'
import { apiOf, type PageContext, type PageServices } from './pages.ts'
import { Cell, Empty, Paging, pathWith, Region, Theirs, When } from './parts.tsx'
import { count, number, span } from './words.ts'

/** Tasks of an agent that are named. */
const named = 3
/** Episodes that ended lately. */
const shown = 20

export async function agentsPage(c: PageContext, services: PageServices) {
  const { cursor } = c.req.query()
  const [{ items, next_cursor }, ended] = await Promise.all([
    apiOf(c, services).get<Page<Agent>>('/agents', { stuck: 'true', limit: 50, cursor }),
    endedLately(services.db),
  ])
  const held = await tasksOf(services.db, items)
  const stuck = next_cursor === null ? count(items.length, 'agent') : `${number(items.length)} or more agents`
  const are = items.length === 1 ? 'is' : 'are'
  return page(
    c,
    {
      title: items.length === 0 ? 'No agent is stuck' : `${stuck} ${are} stuck`,
      section: '/agents',
      live: here(c),
    },
    <Region name="agents">
      <h1>{items.length === 0 ? 'No agent is stuck' : `${stuck} ${are} stuck`}</h1>
      <p class="lead">
        An agent is stuck when it holds a task and sends no heartbeat, or when an analysis reports it. For
        each task that it holds, agent.stuck is sent. A heartbeat, or the end of its tasks, ends it.
      </p>
      <AgentTable agents={items} held={held} />
      <Paging path="/agents" query={c.req.query()} next={next_cursor} />
      <section aria-labelledby="ended">
        <h2 id="ended">Ended in the last 24 hours</h2>
        <EndedTable episodes={ended} />
      </section>
    </Region>,
  )
}

/** The tasks that agents hold, some of each by the agent's id: the URLs of these decide who was told. */
export async function tasksOf(
  db: Kysely<Database>,
  agents: readonly Agent[],
): Promise<Map<string, string[]>> {
  if (agents.length === 0) return new Map()
  const { rows } = await sql<{ agent: string; tasks: string[] }>`
    select agent.id as agent, array_agg(held.id order by held.id) as tasks
    from unnest(${agents.map(({ id }) => id)}::text[]) agent (id) cross join lateral (
      select task.id::text as id from tasks task
      where task.assigned_agent_id = agent.id and task.status::text in ('assigned', 'running')
      limit ${named + 1}
    ) held
    group by agent.id`.execute(db)
  return new Map(rows.map(({ agent, tasks }) => [agent, tasks]))
}

export function AgentTable({ agents, held }: { agents: Agent[]; held: Map<string, string[]> }) {
  if (agents.length === 0) return <></>
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Agent</th>
          <th scope="col">Why</th>
          <th scope="col">Stuck since</th>
          <th scope="col">Last heartbeat</th>
          <th scope="col">Tasks it holds</th>
        </tr>
      </thead>
      <tbody>
        {agents.map((agent) => (
          <tr data-key={agent.id}>
            <th scope="row">
              <Theirs text={agent.id} />
              {agent.agent_type !== null && (
                <small>
                  <Theirs text={agent.agent_type} />
                </small>
              )}
            </th>
            <Cell label="Why" kind="full">
              <Why reason={agent.stuck?.reason} />
            </Cell>
            <Cell label="Stuck since" kind="full">
              <When at={agent.stuck?.started_at} />
            </Cell>
            <Cell label="Last heartbeat" kind="full">
              <When at={agent.last_heartbeat} none="never" />
            </Cell>
            <Cell label="Tasks it holds" kind="full">
              <Held tasks={held.get(agent.id) ?? []} />
            </Cell>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function Why({ reason }: { reason: string | undefined }) {
  return reason === 'no_heartbeat' ? <>no heartbeat</> : <Theirs text={reason} />
}

/** Each leads to what was sent about it. */
function Held({ tasks }: { tasks: string[] }) {
  if (tasks.length === 0) return <>none</>
  return (
    <>
      {tasks.slice(0, named).map((task, i) => (
        <>
          {i > 0 && ', '}
          <a href={pathWith('/deliveries', { event_type: 'agent.stuck', task_id: task })}>
            <Theirs text={task} />
          </a>
        </>
      ))}
      {tasks.length > named && ' and more'}
    </>
  )
}

interface Episode {
  agent_id: string
  reason: string
  started_at: string | null
  ended_at: string | null
}

async function endedLately(db: Kysely<Database>): Promise<Episode[]> {
  const { rows } = await sql<{ agent_id: string; reason: string; started_at: Date; ended_at: Date }>`
    select agent_id, reason, started_at, ended_at from agent_stuck_episodes
    where ended_at > now() - interval '24 hours' and isfinite(ended_at)
    order by ended_at desc limit ${shown}`.execute(db)
  return rows.map((row) => ({ ...row, started_at: time(row.started_at), ended_at: time(row.ended_at) }))
}

function EndedTable({ episodes }: { episodes: Episode[] }) {
  if (episodes.length === 0) return <Empty>None.</Empty>
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Agent</th>
          <th scope="col">Why</th>
          <th scope="col">Stuck for</th>
          <th scope="col">Ended</th>
        </tr>
      </thead>
      <tbody>
        {episodes.map((one) => (
          <tr data-key={`${one.agent_id} ${one.started_at}`}>
            <th scope="row">
              <Theirs text={one.agent_id} />
            </th>
            <Cell label="Why" kind="full">
              <Why reason={one.reason} />
            </Cell>
            <Cell label="Stuck for">{lasted(one)}</Cell>
            <Cell label="Ended" kind="full">
              <When at={one.ended_at} />
            </Cell>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function lasted({ started_at, ended_at }: Episode): string {
  if (started_at === null || ended_at === null) return '–'
  return span(Math.max(0, (Date.parse(ended_at) - Date.parse(started_at)) / 1_000))
}
