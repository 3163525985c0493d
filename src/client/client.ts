import type { OpenApiDocument } from '../api/openapi/document.ts'
import { Transport, type TransportOptions } from './transport.ts'
import type * as api from './types.ts'

/**
 * The API with types: a method for every operation of the document, by its operationId.
 * Each throws ApiError for a problem, and NoAnswer where the service did not answer.
 */
export class Client {
  readonly #http: Transport

  constructor(options: TransportOptions) {
    this.#http = new Transport(options)
  }

  createProject = (body: api.NewProject) => this.#post<api.Project>('/api/v1/projects', body)
  listProjects = (query: api.ProjectQuery = {}) => this.#get<api.Page<api.Project>>('/api/v1/projects', query)
  getProject = (id: string) => this.#get<api.Project>(`/api/v1/projects/${segment(id)}`)
  updateProject = (id: string, patch: api.ProjectPatch) =>
    this.#patch<api.Project>(`/api/v1/projects/${segment(id)}`, patch)

  createTicket = (body: api.NewTicket) => this.#post<api.Ticket>('/api/v1/tickets', body)
  listTickets = (query: api.TicketQuery = {}) => this.#get<api.Page<api.Ticket>>('/api/v1/tickets', query)
  getTicket = (id: string) => this.#get<api.Ticket>(`/api/v1/tickets/${segment(id)}`)
  updateTicket = (id: string, patch: api.TicketPatch) =>
    this.#patch<api.Ticket>(`/api/v1/tickets/${segment(id)}`, patch)

  createTask = (body: api.NewTask) => this.#post<api.Task>('/api/v1/tasks', body)
  listTasks = (query: api.TaskQuery = {}) => this.#get<api.Page<api.Task>>('/api/v1/tasks', query)
  getTask = (id: string) => this.#get<api.Task>(`/api/v1/tasks/${segment(id)}`)
  updateTask = (id: string, patch: api.TaskPatch) =>
    this.#patch<api.Task>(`/api/v1/tasks/${segment(id)}`, patch)

  createAgent = (body: api.NewAgent) => this.#post<api.Agent>('/api/v1/agents', body)
  listAgents = (query: api.AgentQuery = {}) => this.#get<api.Page<api.Agent>>('/api/v1/agents', query)
  getAgent = (id: string) => this.#get<api.Agent>(`/api/v1/agents/${segment(id)}`)
  reportStuck = (id: string, report: api.StuckReport) =>
    this.#post<api.StuckEpisode>(`/api/v1/agents/${segment(id)}/stuck`, report)
  async sendHeartbeat(id: string): Promise<void> {
    await this.#http.send({ method: 'post', path: `/api/v1/agents/${segment(id)}/heartbeat` })
  }

  listDeliveries = (query: api.DeliveryQuery = {}) =>
    this.#get<api.Page<api.Delivery>>('/api/v1/deliveries', query)
  getDelivery = (eventId: string) => this.#get<api.DeliveryDetail>(`/api/v1/deliveries/${segment(eventId)}`)
  replayDelivery = (eventId: string) =>
    this.#post<api.Replayed>(`/api/v1/deliveries/${segment(eventId)}/replay`)
  discardDelivery = (eventId: string, body: api.Discard = {}) =>
    this.#post<api.Discarded>(`/api/v1/deliveries/${segment(eventId)}/discard`, body)

  listEndpoints = (query: api.EndpointQuery = {}) =>
    this.#get<api.Page<api.Endpoint>>('/api/v1/endpoints', query)
  getEndpoint = (id: string) => this.#get<api.Endpoint>(`/api/v1/endpoints/${segment(id)}`)
  updateEndpoint = (id: string, patch: api.EndpointPatch) =>
    this.#patch<api.Endpoint>(`/api/v1/endpoints/${segment(id)}`, patch)
  testEndpoint = (id: string) => this.#post<api.EndpointTest>(`/api/v1/endpoints/${segment(id)}/test`)
  pauseEndpoint = (id: string, body: api.Pause = {}) =>
    this.#post<api.Endpoint>(`/api/v1/endpoints/${segment(id)}/pause`, body)
  resumeEndpoint = (id: string) => this.#post<api.Endpoint>(`/api/v1/endpoints/${segment(id)}/resume`)

  listEndpointSecrets = (id: string) => this.#secrets('endpoints', id)
  addEndpointSecret = (id: string, body: api.SecretAdd = {}) => this.#addSecret('endpoints', id, body)
  removeEndpointSecrets = (id: string) => this.#removeSecret('endpoints', id)
  removeEndpointSecret = (id: string, fingerprint: string) => this.#removeSecret('endpoints', id, fingerprint)

  listProjectSecrets = (id: string) => this.#secrets('projects', id)
  addProjectSecret = (id: string, body: api.SecretAdd = {}) => this.#addSecret('projects', id, body)
  removeProjectSecrets = (id: string) => this.#removeSecret('projects', id)
  removeProjectSecret = (id: string, fingerprint: string) => this.#removeSecret('projects', id, fingerprint)

  startReplay = (body: api.ReplayRequest) => this.#post<api.DryRun | api.Started>('/api/v1/replays', body)
  startDiscard = (body: api.DiscardRequest) => this.#post<api.DryRun | api.Started>('/api/v1/discards', body)
  listOperations = (query: api.OperationQuery = {}) =>
    this.#get<api.Page<api.Operation>>('/api/v1/operations', query)
  getOperation = (id: string) => this.#get<api.Operation>(`/api/v1/operations/${segment(id)}`)
  cancelOperation = (id: string) => this.#post<api.Operation>(`/api/v1/operations/${segment(id)}/cancel`)

  getInstallation = () => this.#get<api.Installation>('/api/v1/installation')
  confirmInstallation = (body: api.InstallationConfirm) =>
    this.#post<api.Installation>('/api/v1/installation/confirm', body)

  listAudit = (query: api.AuditQuery = {}) => this.#get<api.Page<api.AuditEntry>>('/api/v1/audit', query)

  getLiveness = () => this.#get<{ status: 'ok' }>('/livez')
  /** Also where it is not ready: `status` says so. */
  getReadiness = () => this.#http.json<api.HealthReport>({ method: 'get', path: '/readyz', expect: [503] })
  getMetrics = () => this.#http.send({ method: 'get', path: '/metrics' })
  getOpenApi = () => this.#get<OpenApiDocument>('/openapi.json')
  getDocs = () => this.#http.send({ method: 'get', path: '/docs' })

  #get<Answer>(path: string, query?: Record<string, string | number | undefined>): Promise<Answer> {
    return this.#http.json<Answer>({ method: 'get', path, query })
  }

  #post<Answer>(path: string, body?: unknown): Promise<Answer> {
    return this.#http.json<Answer>({ method: 'post', path, body })
  }

  #secrets(of: 'endpoints' | 'projects', id: string): Promise<api.Page<api.Secret>> {
    return this.#get(`/api/v1/${of}/${segment(id)}/secrets`)
  }

  #addSecret(of: 'endpoints' | 'projects', id: string, body: api.SecretAdd): Promise<api.NewSecret> {
    return this.#post(`/api/v1/${of}/${segment(id)}/secrets`, body)
  }

  async #removeSecret(of: 'endpoints' | 'projects', id: string, fingerprint?: string): Promise<void> {
    const one = fingerprint === undefined ? '' : `/${segment(fingerprint)}`
    await this.#http.send({ method: 'delete', path: `/api/v1/${of}/${segment(id)}/secrets${one}` })
  }

  #patch<Answer>(path: string, body: unknown): Promise<Answer> {
    return this.#http.json<Answer>({ method: 'patch', path, body })
  }
}

function segment(id: string): string {
  return encodeURIComponent(id)
}
