import type { Client } from '../client/client.ts'
import type { Project, Task, Ticket } from '../client/types.ts'
import { orNothing } from './or-nothing.ts'
import { program } from './program.ts'

interface Reason {
  why: string
  /** What to do about it. */
  next: string
  /** The SQL that has the event written after all, where the task is over. */
  or?: string
}

/**
 * Why there is no event of a task: an event is written when an existing task changes to completed or failed, and a URL
 * applies to its ticket then.
 */
export async function whyNoEvent(client: Client, taskId: string): Promise<Reason> {
  const task = await orNothing(client.getTask(taskId))
  if (task === undefined) {
    return {
      why: `there is no event and no task "${taskId}" in the database of this service`,
      next: `${program} deliveries lists events; settled ones are kept for RETENTION and DEAD_RETENTION. If the task exists elsewhere, the service has another DATABASE_URL: ${program} check-config prints it, in its environment`,
    }
  }
  if (task.ticket_id === null) {
    return { why: 'the task has no ticket, and so no URL applies to it', next: 'set its ticket_id' }
  }
  const ticket = await orNothing(client.getTicket(task.ticket_id))
  if (ticket === undefined) {
    return {
      why: `its ticket "${task.ticket_id}" does not exist, and so no URL applies`,
      next: 'set another ticket_id',
    }
  }
  const project =
    ticket.project_id === null ? undefined : await orNothing(client.getProject(ticket.project_id))
  if (!ticket.webhook_url && !project?.webhook_url) {
    const its = ticket.project_id === null ? 'has no project' : 'nor has its project'
    return {
      why: `its ticket "${ticket.id}" has no webhook_url, and ${its}: without a URL there is no event`,
      next: `PATCH /api/v1/tickets/${encodeURIComponent(ticket.id)} with a webhook_url; what happened before is not sent`,
      ...after(task),
    }
  }
  if (!isOver(task)) {
    return {
      why: `the task is ${task.status ?? 'without a status'}: an event is written when it becomes completed or failed`,
      next: `nothing, until it does; if its agent is stuck, ${program} status says so`,
    }
  }
  return withUrl(client, task, ticket, project)
}

/** A URL applies now and the task is over: what its rows and the audit tell, or else all that it can be. */
async function withUrl(
  client: Client,
  task: Task,
  ticket: Ticket,
  project: Project | undefined,
): Promise<Reason> {
  const { status, created_at, updated_at, started_at, completed_at } = task
  const mend = {
    next: `${program} doctor tells whether capture is in place, and gives the SQL that mends it`,
    ...after(task),
  }
  // As the API leaves a task that it has not changed since; other writers need not keep these times.
  if (started_at === null && updated_at === created_at && near(completed_at, created_at)) {
    return {
      ...mend,
      why: `by its times, the task was inserted as ${status!} and has not changed since: only a change to it writes an event`,
      next: 'insert tasks in another status, and change it then',
    }
  }
  const fault = await captureFault(client)
  if (fault !== undefined) {
    return {
      ...mend,
      why: `the task is ${status!}, a URL applies now, and capture is not in place: ${fault}`,
    }
  }
  const set = await urlSetSince(client, completed_at ?? updated_at, ticket, project)
  if (set !== undefined) {
    return {
      ...mend,
      why: `the webhook_url of its ${set.of} was set by ${set.actor} at ${set.at}, after the task was ${status!}: there is no event if it had none before`,
      next: `nothing, for tasks that change from now on`,
    }
  }
  return {
    ...mend,
    why: `the task is ${status!}, a URL applies now, and no event is kept: there was no URL when it changed, it was inserted as ${status!}, the event is past its retention, capture is not in place, or the session that changed it had session_replication_role = replica`,
  }
}

/** What is wrong with the trigger on tasks, which readyz names before those on others. */
async function captureFault(client: Client): Promise<string | undefined> {
  const { capture } = (await client.getReadiness()).checks
  const detail = capture?.status === 'warning' ? capture.detail : undefined
  return detail?.split(':', 1)[0]!.includes('tasks') ? detail : undefined
}

/** The change of a URL that the audit has since then, the first one. */
async function urlSetSince(
  client: Client,
  from: string | null,
  ticket: Ticket,
  project: Project | undefined,
): Promise<{ of: string; actor: string; at: string } | undefined> {
  if (from === null) return undefined
  const of = ticket.webhook_url || project === undefined ? 'ticket' : 'project'
  const id = of === 'ticket' ? ticket.id : project!.id
  const { items } = await client.listAudit({
    target: `${of}s/${id}`,
    action: 'webhook_url.change',
    from,
    limit: 100,
  })
  const first = items.findLast(({ detail }) => detail['webhook_url'] !== null)
  return first && { of, actor: first.actor, at: first.at }
}

function isOver({ status }: Task): boolean {
  return status === 'completed' || status === 'failed'
}

/** In one transaction, so that nobody else sees the task in the status between. */
function after(task: Task): { or?: string } {
  if (!isOver(task)) return {}
  const id = `'${task.id.replaceAll("'", "''")}'`
  const set = (status: string) => `update tasks set status = '${status}' where id = ${id};`
  return { or: `have it sent after all: begin; ${set('running')} ${set(task.status!)} commit` }
}

function near(one: string | null, other: string | null): boolean {
  return one !== null && other !== null && Math.abs(Date.parse(one) - Date.parse(other)) < 100
}
