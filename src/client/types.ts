import type { z } from 'zod'
import type { HealthReport } from '../api/health.ts'
import type { agent, agentSchemas, stuckEpisode } from '../api/schemas/agent.ts'
import type { auditList } from '../api/schemas/audit.ts'
import type { auditEntry } from '../api/schemas/audit-answer.ts'
import type {
  attempt,
  delivery,
  deliveryDetail,
  discarded,
  replayed,
} from '../api/schemas/delivery-answer.ts'
import type { deliveryDiscard, deliveryList } from '../api/schemas/delivery.ts'
import type { endpointList, endpointPatch, endpointPause } from '../api/schemas/endpoint.ts'
import type { endpoint, endpointTest } from '../api/schemas/endpoint-answer.ts'
import type { installationAnswer, installationConfirm } from '../api/schemas/installation.ts'
import type { discardRequest, operationList, replayRequest } from '../api/schemas/operation.ts'
import type { dryRun, operation, started } from '../api/schemas/operation-answer.ts'
import type { project, projectSchemas } from '../api/schemas/project.ts'
import type { secretAdd, secretAdded, secretShown } from '../api/schemas/secret.ts'
import type { task, taskSchemas } from '../api/schemas/task.ts'
import type { ticket, ticketSchemas } from '../api/schemas/ticket.ts'

/** What the API takes and answers, from the schemas that it checks and documents with. */
export type { HealthReport }
export type Project = z.infer<typeof project>
export type Ticket = z.infer<typeof ticket>
export type Task = z.infer<typeof task>
export type Agent = z.infer<typeof agent>
export type StuckEpisode = z.infer<typeof stuckEpisode>
export type Delivery = z.infer<typeof delivery>
export type DeliveryDetail = z.infer<typeof deliveryDetail>
export type Attempt = z.infer<typeof attempt>
export type Replayed = z.infer<typeof replayed>
export type Discarded = z.infer<typeof discarded>
export type Operation = z.infer<typeof operation>
export type DryRun = z.infer<typeof dryRun>
export type Started = z.infer<typeof started>
export type Endpoint = z.infer<typeof endpoint>
export type EndpointTest = z.infer<typeof endpointTest>
export type Installation = z.infer<typeof installationAnswer>
export type InstallationConfirm = z.input<typeof installationConfirm>
export type Secret = z.infer<typeof secretShown>
export type NewSecret = z.infer<typeof secretAdded>
export type SecretAdd = z.input<typeof secretAdd>
export type AuditEntry = z.infer<typeof auditEntry>

export interface Page<Item> {
  /** Newest first. */
  items: Item[]
  /** For `cursor`; null on the last page. */
  next_cursor: string | null
}

type ProjectSchemas = ReturnType<typeof projectSchemas>
type TicketSchemas = ReturnType<typeof ticketSchemas>
type TaskSchemas = ReturnType<typeof taskSchemas>
type AgentSchemas = ReturnType<typeof agentSchemas>

export type NewProject = z.input<ProjectSchemas['create']>
export type ProjectPatch = z.input<ProjectSchemas['patch']>
export type NewTicket = z.input<TicketSchemas['create']>
export type TicketPatch = z.input<TicketSchemas['patch']>
export type NewTask = z.input<TaskSchemas['create']>
export type TaskPatch = z.input<TaskSchemas['patch']>
export type NewAgent = z.input<AgentSchemas['create']>
export type StuckReport = z.input<AgentSchemas['stuck']>

/** The parameters of a list by their names; numbers may be given as such. */
export type Parameters<Schema extends z.ZodObject> = {
  [Name in keyof z.input<Schema>]?: string | number | undefined
}
export type ProjectQuery = Parameters<ProjectSchemas['list']>
export type TicketQuery = Parameters<TicketSchemas['list']>
export type TaskQuery = Parameters<TaskSchemas['list']>
export type AgentQuery = Parameters<AgentSchemas['list']>
export type DeliveryQuery = Parameters<typeof deliveryList>
export type AuditQuery = Parameters<typeof auditList>
export type OperationQuery = Parameters<typeof operationList>
export type ReplayRequest = z.input<typeof replayRequest>
export type DiscardRequest = z.input<typeof discardRequest>
export type EndpointQuery = Parameters<typeof endpointList>
export type Discard = z.input<typeof deliveryDiscard>
export type EndpointPatch = z.input<ReturnType<typeof endpointPatch>>
export type Pause = z.input<typeof endpointPause>
