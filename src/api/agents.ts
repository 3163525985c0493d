import { type Kysely, sql, type Transaction } from 'kysely'
import type { Database } from '../database/tables.ts'
import { answer, time } from './answer.ts'
import type { Services } from './context.ts'
import { continueTrace, traceHeader } from './continue-trace.ts'
import { lockKey } from './host-rows.ts'
import { jsonBody, noBody } from './json-body.ts'
import { notFound, Problem } from './problem.ts'
import type { RouteDoc } from './openapi/route-doc.ts'
import { resourceDocs } from './openapi/resource-docs.ts'
import { type Resource, resourceRoutes } from './resource.ts'
import { agent, agentSchemas, stuckEpisode } from './schemas/agent.ts'
import { inTransaction } from './transaction.ts'
import { valid } from './validate.ts'

interface AgentRow {
  id: string
  agent_type: string | null
  status: string | null
  last_heartbeat: Date | number | null
  stuck_reason: string | null
  stuck_since: Date | number | null
  created_at: Date | number | null
  updated_at: Date | number | null
}

const schemas = agentSchemas()

const agents: Resource<AgentRow> = {
  table: 'agents',
  noun: 'agent',
  columns: sql`id, agent_type, status, last_heartbeat,
    (select e.reason from agent_stuck_episodes e where e.agent_id = agents.id::text and e.ended_at is null) as stuck_reason,
    (select e.started_at from agent_stuck_episodes e where e.agent_id = agents.id::text and e.ended_at is null) as stuck_since,
    created_at::timestamptz as created_at, updated_at::timestamptz as updated_at`,
  filters: {
    stuck: (value) =>
      sql`exists (select from agent_stuck_episodes e where e.agent_id = agents.id::text and e.ended_at is null) = ${value}::boolean`,
  },
  schemas: { create: schemas.create, list: schemas.list },
  show: (row) => ({
    id: row.id,
    agent_type: row.agent_type,
    status: row.status,
    last_heartbeat: time(row.last_heartbeat),
    stuck: row.stuck_reason === null ? null : { reason: row.stuck_reason, started_at: time(row.stuck_since) },
    created_at: time(row.created_at),
    updated_at: time(row.updated_at),
  }),
}

export function agentRoutes(services: Services) {
  const { db } = services
  return resourceRoutes(services, agents)
    .post('/:id/heartbeat', noBody(), async (c) => {
      if (!(await beat(db, c.req.param('id')))) throw notFound('agent')
      return c.body(null, 204)
    })
    .post('/:id/stuck', jsonBody(), valid('json', schemas.stuck), async (c) => {
      const { reason } = c.req.valid('json')
      const episode = await inTransaction(db, ['reason'], async (trx) => {
        await continueTrace(trx, c.req.header('traceparent'))
        return openEpisode(trx, c.req.param('id'), reason)
      })
      return answer(c, 201, {
        agent_id: episode.agent_id,
        reason: episode.reason,
        started_at: time(episode.started_at),
        ended_at: time(episode.ended_at),
      })
    })
}

/**
 * Records a heartbeat and ends the episode for want of one, in one statement. The trigger on agents ends it only where
 * the time moves forward, and a clock that was ahead may have left a later one there.
 * @returns whether there is such an agent
 */
async function beat(db: Kysely<Database>, id: string): Promise<boolean> {
  if (id.includes('\0')) return false
  return inTransaction(db, [], async (trx) => {
    const { rows } = await sql<{ found: boolean }>`
      with beat as (
        update agents set last_heartbeat = clock_timestamp() where id = ${id} returning id::text as agent_id
      ), ended as (
        update agent_stuck_episodes episode set ended_at = clock_timestamp()
        from beat
        where episode.agent_id = beat.agent_id and episode.ended_at is null and episode.reason = 'no_heartbeat'
      )
      select exists (select from beat) as found`.execute(trx)
    return rows[0]!.found
  })
}

/** The insert is the detection: its trigger captures the events of the tasks that the agent holds. */
async function openEpisode(trx: Transaction<Database>, id: string, reason: string) {
  if (!(await lockKey(trx, 'agents', id))) throw notFound('agent')
  const episode = await trx
    .insertInto('agent_stuck_episodes')
    .values({ agent_id: id, reason })
    .onConflict((conflict) => conflict.column('agent_id').where('ended_at', 'is', null).doNothing())
    .returningAll()
    .executeTakeFirst()
  if (episode !== undefined) return episode
  throw new Problem(
    409,
    'this agent is already taken to be stuck: its episode lasts until its ended_at is set or its tasks end, or, for want of a heartbeat, until one arrives',
  )
}

export const agentDocs: RouteDoc[] = [
  ...resourceDocs({ table: 'agents', noun: 'agent', schemas, item: agent }),
  {
    method: 'post',
    path: '/api/v1/agents/{id}/heartbeat',
    id: 'sendHeartbeat',
    tag: 'agents',
    summary: 'Report that an agent is alive',
    description: 'Ends an episode for want of a heartbeat. No body is needed.',
    answer: { status: 204, description: 'It is on record' },
    problems: { 413: 'A body came that is larger than 64 KiB' },
  },
  {
    method: 'post',
    path: '/api/v1/agents/{id}/stuck',
    id: 'reportStuck',
    tag: 'agents',
    summary: 'Report that an agent is stuck',
    description: 'Sends agent.stuck for each task that the agent holds (status assigned or running).',
    headers: traceHeader,
    body: { schema: schemas.stuck },
    answer: { status: 201, description: 'The episode that this opens', schema: stuckEpisode },
    problems: { 409: 'The agent is taken to be stuck already' },
  },
]
