import type { Client } from '../client/client.ts'
import { ApiError } from '../client/errors.ts'
import { program } from './program.ts'

/**
 * Why there is no event of a task: an event is written when an existing task changes to completed or failed, and a URL
 * applies to its ticket then.
 * @returns the reason in words, and what to do about it
 */
export async function whyNoEvent(client: Client, taskId: string): Promise<{ why: string; next: string }> {
  const task = await orNothing(client.getTask(taskId))
  if (task === undefined) {
    return {
      why: `there is no event and no task "${taskId}"`,
      next: `${program} deliveries lists events; settled ones are kept for RETENTION and DEAD_RETENTION`,
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
    }
  }
  if (task.status !== 'completed' && task.status !== 'failed') {
    return {
      why: `the task is ${task.status ?? 'without a status'}: an event is written when it becomes completed or failed`,
      next: `nothing, until it does; if its agent is stuck, ${program} status says so`,
    }
  }
  return {
    why: `the task is ${task.status}, a URL applies now, and no event is kept: there was no URL when it changed, it was inserted as ${task.status}, the event is past its retention, or capture is not in place`,
    next: `${program} doctor checks whether the triggers are in place`,
  }
}

/** Undefined for a 404. */
export async function orNothing<Found>(found: Promise<Found>): Promise<Found | undefined> {
  return found.catch((error: unknown) => {
    if (error instanceof ApiError && error.status === 404) return undefined
    throw error
  })
}
