import type { Agent, Page } from '../client/types.ts'
import { here, page } from './layout.tsx'
import { apiOf, type PageContext, type PageServices } from './pages.ts'
import { Empty, Paging, Region, Theirs, Time } from './parts.tsx'

export async function agentsPage(c: PageContext, services: PageServices) {
  const { cursor } = c.req.query()
  const { items, next_cursor } = await apiOf(c, services).get<Page<Agent>>('/agents', {
    ...{ stuck: 'true', limit: 50, cursor },
  })
  return page(
    c,
    { title: 'Stuck agents', section: '/agents', live: here(c) },
    <>
      <h1>Stuck agents</h1>
      <p class="lead">
        They hold tasks and gave no heartbeat, or an analysis says that they are stuck. A heartbeat ends an
        episode for want of one.
      </p>
      <Region name="agents">
        <AgentTable agents={items} none="No agent is stuck." />
        <Paging path="/agents" query={c.req.query()} next={next_cursor} />
      </Region>
    </>,
  )
}

export function AgentTable({ agents, none }: { agents: Agent[]; none: string }) {
  if (agents.length === 0) return <Empty>{none}</Empty>
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Agent</th>
          <th scope="col">Why</th>
          <th scope="col">Stuck</th>
          <th scope="col" class="wide">
            Last heartbeat
          </th>
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
            <td>
              {agent.stuck?.reason === 'no_heartbeat' ? (
                'no heartbeat'
              ) : (
                <Theirs text={agent.stuck?.reason} />
              )}
            </td>
            <td>
              <Time at={agent.stuck?.started_at} />
            </td>
            <td class="wide">
              <Time at={agent.last_heartbeat} none="never" />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
