import { randomUUID } from 'node:crypto'
import assert from 'node:assert/strict'
import { newSecret } from '../../src/delivery/signature.ts'
import { runningTasks, complete } from '../support/tasks.ts'
import { eventOf, putEvent, putTicket } from '../support/events.ts'
import type { Answer, TestApi } from './support.ts'

/** What is sent to an operation. */
export interface Call {
  params?: Record<string, string>
  query?: Record<string, string>
  body?: object
  headers?: Record<string, string>
  raw?: string
  /** Properties that cannot stand beside the others. */
  leavesOut?: readonly string[]
  /** On top of what the document says of the answer. */
  check?: (answer: Answer) => void
}

type MakeCall = (api: TestApi) => Call | Promise<Call>

async function create(api: TestApi, path: string, body: object): Promise<string> {
  const answer = await api.call('POST', path, body)
  assert.equal(answer.status, 201, answer.text)
  return answer.body.id
}

const newProject = (api: TestApi) => create(api, '/api/v1/projects', { name: 'a project' })
const newTicket = (api: TestApi) => create(api, '/api/v1/tickets', { title: 'a ticket' })
const newAgent = (api: TestApi) => create(api, '/api/v1/agents', {})
const newTask = (api: TestApi) => create(api, '/api/v1/tasks', { title: 'a task' })

/** A cursor as a page before gave it. */
async function cursorOf(api: TestApi, path: string, filters: Record<string, string>): Promise<string> {
  const answer = await api.call(
    'GET',
    `${path}?${new URLSearchParams({ ...filters, limit: '1' }).toString()}`,
  )
  assert.ok(answer.body.next_cursor, `${path} has a second page: ${answer.text}`)
  return answer.body.next_cursor
}

const hasItems = (answer: Answer) => assert.ok(answer.body.items.length > 0, answer.text)

/** A list that is filtered by all that it can be, with a page before. */
async function listCall(api: TestApi, path: string, filters: Record<string, string>): Promise<Call> {
  return { query: { ...filters, cursor: await cursorOf(api, path, filters), limit: '10' }, check: hasItems }
}

/** Events of one ticket that nobody has sent yet; they are owed to a URL of their own. */
async function owed(api: TestApi, count = 1): Promise<{ eventIds: string[]; taskIds: string[] }> {
  const taskIds = await runningTasks(api.database, `http://127.0.0.1:9/${randomUUID()}`, count)
  await complete(api.database, taskIds)
  const rows = await api.database.query<{ event_id: string }>(
    'select event_id from webhook_outbox where task_id = any($1) order by created_at',
    [taskIds],
  )
  return { eventIds: rows.map((row) => row.event_id), taskIds }
}

async function owedEndpoint(api: TestApi): Promise<string> {
  const { eventIds } = await owed(api)
  const [row] = await api.database.query<{ endpoint_id: string }>(
    'select endpoint_id from webhook_outbox where event_id = $1',
    [eventIds[0]],
  )
  return row!.endpoint_id
}

const everyEvent = (ticket_id: string, endpoint_id: string) => ({
  ...{ ticket_id, endpoint_id, project_id: 'p', task_id: 'k' },
  ...{ from: '2020-01-01', to: '2999-01-01' },
})

/** A bulk replay that nobody carries out. */
async function startedReplay(api: TestApi): Promise<string> {
  await putEvent(api.database)
  const answer = await api.call('POST', '/api/v1/replays', { state: 'dead', dry_run: false })
  assert.equal(answer.status, 202, answer.text)
  return (answer.body.operation as { id: string }).id
}

const secretsPath = (noun: string, id: string) => `/api/v1/${noun.toLowerCase()}s/${id}/secrets`

function secretRequests(
  noun: 'Endpoint' | 'Project',
  make: (api: TestApi) => Promise<string>,
): Record<string, MakeCall> {
  const withSecret = async (api: TestApi) => {
    const id = await make(api)
    const added = await api.call('POST', secretsPath(noun, id))
    return { params: { id, fingerprint: added.body['fingerprint'] as string } }
  }
  return {
    [`list${noun}Secrets`]: async (api) => ({ ...(await withSecret(api)), check: hasItems }),
    [`add${noun}Secret`]: async (api) => ({ params: { id: await make(api) }, body: { secret: newSecret() } }),
    [`remove${noun}Secrets`]: async (api) => ({ params: (await withSecret(api)).params }),
    [`remove${noun}Secret`]: async (api) => ({ params: (await withSecret(api)).params }),
  }
}

/** One that has two already. */
const thirdSecret =
  (noun: 'Endpoint' | 'Project', make: (api: TestApi) => Promise<string>): MakeCall =>
  async (api) => {
    const id = await make(api)
    for (let n = 0; n < 2; n++) await api.call('POST', secretsPath(noun, id))
    return { params: { id }, body: {} }
  }

/** A valid request for each operation, which gives everything that is documented for it. */
export const requests: Record<string, MakeCall> = {
  createProject: () => ({
    body: { id: randomUUID(), name: 'a', status: 'active', webhook_url: 'https://example.com/hook' },
  }),
  listProjects: async (api) => {
    const status = randomUUID()
    for (const name of ['a', 'b']) await create(api, '/api/v1/projects', { name, status })
    return listCall(api, '/api/v1/projects', { status })
  },
  getProject: async (api) => ({ params: { id: await newProject(api) } }),
  updateProject: async (api) => ({
    params: { id: await newProject(api) },
    body: { name: 'b', status: 'archived', webhook_url: null },
  }),
  createTicket: async (api) => ({
    body: {
      id: randomUUID(),
      project_id: await newProject(api),
      title: 'a',
      status: 'open',
      webhook_url: 'https://example.com/hook',
    },
  }),
  listTickets: async (api) => {
    const project_id = await newProject(api)
    for (const title of ['a', 'b'])
      await create(api, '/api/v1/tickets', { title, project_id, status: 'open' })
    return listCall(api, '/api/v1/tickets', { project_id, status: 'open' })
  },
  getTicket: async (api) => ({ params: { id: await newTicket(api) } }),
  updateTicket: async (api) => ({
    params: { id: await newTicket(api) },
    body: { project_id: await newProject(api), title: 'b', status: 'closed', webhook_url: null },
  }),
  createTask: async (api) => ({
    body: {
      id: randomUUID(),
      ticket_id: await newTicket(api),
      title: 'a',
      status: 'running',
      assigned_agent_id: await newAgent(api),
      result: { any: ['json', 1, null] },
      error_message: null,
      retry_count: 0,
      max_retries: 3,
    },
  }),
  listTasks: async (api) => {
    const [ticket_id, assigned_agent_id] = [await newTicket(api), await newAgent(api)]
    const filters = { ticket_id, assigned_agent_id, status: 'pending' }
    for (const title of ['a', 'b']) await create(api, '/api/v1/tasks', { title, ...filters })
    return listCall(api, '/api/v1/tasks', filters)
  },
  getTask: async (api) => ({ params: { id: await newTask(api) } }),
  updateTask: async (api) => ({
    params: { id: await newTask(api) },
    body: {
      ticket_id: await newTicket(api),
      title: 'b',
      status: 'failed',
      assigned_agent_id: null,
      result: null,
      error_message: 'out of memory',
      retry_count: 1,
      max_retries: 1,
    },
  }),
  createAgent: () => ({ body: { id: randomUUID(), agent_type: 'coder', status: 'busy' } }),
  listAgents: async (api) => {
    const filters = { agent_type: randomUUID(), status: 'idle' }
    await create(api, '/api/v1/agents', filters)
    for (let n = 0; n < 2; n++) {
      const id = await create(api, '/api/v1/agents', filters)
      await api.call('POST', `/api/v1/agents/${id}/stuck`, { reason: 'loops' })
    }
    const stuck = await listCall(api, '/api/v1/agents', { ...filters, stuck: 'true' })
    return {
      ...stuck,
      check: ({ body }) => assert.equal(body.items.length, 1, 'the other one of the page before'),
    }
  },
  getAgent: async (api) => {
    const id = await newAgent(api)
    await api.call('POST', `/api/v1/agents/${id}/stuck`, { reason: 'loops' })
    return { params: { id } }
  },
  sendHeartbeat: async (api) => ({ params: { id: await newAgent(api) } }),
  reportStuck: async (api) => ({ params: { id: await newAgent(api) }, body: { reason: 'loops' } }),
  listDeliveries: async (api) => {
    const { eventIds, taskIds } = await owed(api, 3)
    const [event] = await api.database.query<Record<'ticket_id' | 'endpoint_id', string>>(
      `update webhook_outbox set project_id = 'p', task_id = 't', last_error = '503 Busy' where event_id = any($1)
       returning ticket_id, endpoint_id`,
      [eventIds],
    )
    assert.equal(taskIds.length, 3)
    return listCall(api, '/api/v1/deliveries', {
      state: 'pending',
      event_type: 'task.completed',
      project_id: 'p',
      ticket_id: event!.ticket_id,
      task_id: 't',
      endpoint_id: event!.endpoint_id,
      error: 'busy',
      from: '2020-01-01',
      to: '2999-01-01T00:00:00Z',
    })
  },
  getDelivery: async (api) => {
    const { eventIds } = await owed(api)
    await api.database.query(
      `insert into webhook_attempts (event_id, attempt, started_at, duration_ms, status, error, response)
       values ($1, 1, now(), null, null, 'lost', null), ($1, 2, now(), 3, 503, '503 Service Unavailable', 'no')`,
      [eventIds[0]],
    )
    return {
      params: { event_id: eventIds[0]! },
      check: ({ body }) => assert.equal((body.attempt_log as unknown[]).length, 2),
    }
  },
  replayDelivery: async (api) => {
    const { ticket_id } = await putTicket(api.database, { url: 'http://127.0.0.1:9/replayed' })
    return { params: { event_id: await putEvent(api.database, { ticket_id }) } }
  },
  discardDelivery: async (api) => ({
    params: { event_id: (await owed(api)).eventIds[0]! },
    body: { reason: 'not wanted any more' },
  }),
  listEndpoints: async (api) => {
    await owed(api)
    await owed(api)
    await api.database.query(`
      insert into webhook_endpoints (id, url, paused_at, paused_reason)
      select distinct endpoint_id, url, now(), 'a test' from webhook_outbox on conflict do nothing`)
    return listCall(api, '/api/v1/endpoints', { breaker: 'closed', paused: 'true', owed: 'true' })
  },
  getEndpoint: async (api) => ({ params: { id: await owedEndpoint(api) } }),
  updateEndpoint: async (api) => ({
    params: { id: await owedEndpoint(api) },
    body: {
      max_in_flight: 2,
      retry_schedule: ['1s', '10s'],
      timeout: '5s',
      max_owed_age: '7d',
      headers: { 'x-token': 'CANARY' },
    },
    check: ({ body, text }) => {
      assert.deepEqual(body.header_names, ['x-token'])
      assert.ok(!text.includes('CANARY'))
    },
  }),
  testEndpoint: async (api) => ({ params: { id: await owedEndpoint(api) } }),
  pauseEndpoint: async (api) => ({
    params: { id: await owedEndpoint(api) },
    body: { reason: 'maintenance' },
    check: ({ body }) => assert.equal(body.paused_reason, 'maintenance'),
  }),
  resumeEndpoint: async (api) => ({ params: { id: await owedEndpoint(api) } }),
  ...secretRequests('Endpoint', owedEndpoint),
  ...secretRequests('Project', newProject),
  startReplay: async (api) => {
    const { ticket_id } = await putTicket(api.database, { url: 'http://127.0.0.1:9/replayed' })
    const columns = { ticket_id, project_id: 'p', last_error: '503' }
    const event_id = await putEvent(api.database, columns)
    const endpoint_id = (await eventOf(api.database, event_id))['endpoint_id'] as string
    return {
      body: {
        ...{
          state: 'dead',
          event_type: 'task.completed',
          ...everyEvent(ticket_id, endpoint_id),
          error: '503',
        },
        ...{ dry_run: false, rate: 100 },
      },
      leavesOut: ['all'],
      check: ({ body }) => assert.equal(body.matched, 1),
    }
  },
  startDiscard: async (api) => {
    const { eventIds } = await owed(api)
    const [row] = await api.database.query<Record<'ticket_id' | 'endpoint_id', string>>(
      `update webhook_outbox set project_id = 'p', task_id = 'k', last_error = '503' where event_id = $1
       returning ticket_id, endpoint_id`,
      [eventIds[0]],
    )
    return {
      body: {
        ...{ state: 'pending', event_type: 'task.completed' },
        ...{ ...everyEvent(row!.ticket_id, row!.endpoint_id), error: '503' },
        ...{ dry_run: true, rate: 100, reason: 'not wanted' },
      },
      leavesOut: ['all'],
      check: ({ body }) => assert.equal(body.matched, 1),
    }
  },
  listOperations: async (api) => {
    for (let n = 0; n < 2; n++) await startedReplay(api)
    return listCall(api, '/api/v1/operations', { state: 'queued', kind: 'replay' })
  },
  getOperation: async (api) => ({ params: { id: await startedReplay(api) } }),
  cancelOperation: async (api) => ({ params: { id: await startedReplay(api) } }),
  getInstallation: () => ({}),
  confirmInstallation: () => ({ body: { name: null } }),
  listAudit: async (api) => {
    const id = await owedEndpoint(api)
    for (let n = 0; n < 2; n++) await api.call('POST', `/api/v1/endpoints/${id}/resume`)
    const target = `endpoints/${id}`
    const filters = {
      actor: 'anonymous',
      action: 'endpoint.resume',
      target,
      from: '2020-01-01',
      to: '2999-01-01',
    }
    return listCall(api, '/api/v1/audit', filters)
  },
  getLiveness: () => ({}),
  getReadiness: () => ({}),
  getMetrics: () => ({}),
  getOpenApi: () => ({}),
  getDocs: () => ({}),
}

/** Requests to operations that have more than one answer, for the others. */
export const otherAnswers: Record<string, Record<number, MakeCall>> = {
  startReplay: { 200: () => ({ body: { dry_run: true } }) },
  startDiscard: {
    202: async (api) => {
      await owed(api)
      return { body: { dry_run: false, all: true, rate: 1 } }
    },
  },
}

/** A request for each operation that has a 409, which gets it. */
export const conflicts: Record<string, MakeCall> = {
  createProject: async (api) => ({ body: { id: await newProject(api), name: 'again' } }),
  createTicket: async (api) => ({ body: { id: await newTicket(api), title: 'again' } }),
  createTask: async (api) => ({ body: { id: await newTask(api), title: 'again' } }),
  createAgent: async (api) => ({ body: { id: await newAgent(api) } }),
  replayDelivery: async (api) => ({ params: { event_id: (await owed(api)).eventIds[0]! } }),
  discardDelivery: async (api) => ({ params: { event_id: await putEvent(api.database) }, body: {} }),
  cancelOperation: async (api) => {
    const id = await startedReplay(api)
    await api.call('POST', `/api/v1/operations/${id}/cancel`)
    return { params: { id } }
  },
  reportStuck: async (api) => {
    const id = await newAgent(api)
    await api.call('POST', `/api/v1/agents/${id}/stuck`, { reason: 'loops' })
    return { params: { id }, body: { reason: 'again' } }
  },
  addEndpointSecret: thirdSecret('Endpoint', owedEndpoint),
  addProjectSecret: thirdSecret('Project', newProject),
  testEndpoint: async (api) => {
    await api.call('POST', '/api/v1/installation/confirm', { name: 'another' })
    return { params: { id: await owedEndpoint(api) } }
  },
}
