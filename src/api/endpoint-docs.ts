import type { RouteDoc } from './openapi/route-doc.ts'
import { pageOf } from './schemas/answer.ts'
import { endpointList, endpointPatch, endpointPause } from './schemas/endpoint.ts'
import { endpoint, endpointTest } from './schemas/endpoint-answer.ts'

const path = '/api/v1/endpoints/{id}'
const noBodyProblems = { 413: 'A body came that is larger than 64 KiB' }
const answer = { status: 200, description: 'The endpoint', schema: endpoint }

export const endpointDocs: RouteDoc[] = [
  {
    method: 'get',
    path: '/api/v1/endpoints',
    id: 'listEndpoints',
    tag: 'endpoints',
    summary: 'List endpoints: how they fare, and what they are owed',
    description:
      'Those that events were sent or are owed to. One that is only configured is found by its id.',
    query: endpointList,
    answer: { status: 200, description: 'A page', schema: pageOf(endpoint) },
  },
  {
    method: 'get',
    path,
    id: 'getEndpoint',
    tag: 'endpoints',
    summary: 'Show an endpoint',
    answer,
  },
  {
    method: 'patch',
    path,
    id: 'updateEndpoint',
    tag: 'endpoints',
    summary: 'Set limits and headers of an endpoint, instead of what the environment says',
    // The shape does not depend on the lease.
    body: { schema: endpointPatch({ leaseMs: Number.MAX_SAFE_INTEGER }), patch: true },
    answer,
  },
  {
    method: 'post',
    path: `${path}/pause`,
    id: 'pauseEndpoint',
    tag: 'endpoints',
    summary: 'Let what is owed to an endpoint wait for a resume',
    body: { schema: endpointPause, optional: true },
    answer,
  },
  {
    method: 'post',
    path: `${path}/resume`,
    id: 'resumeEndpoint',
    tag: 'endpoints',
    summary: 'Let what is owed to an endpoint flow again',
    description: 'An open breaker probes at once. No body is needed.',
    answer,
    problems: noBodyProblems,
  },
  {
    method: 'post',
    path: `${path}/test`,
    id: 'testEndpoint',
    tag: 'endpoints',
    summary: 'Send one webhook.test to an endpoint and tell what came of it',
    description:
      'At once and once, also where the endpoint is paused or its breaker is open. No body is needed.',
    answer: { status: 200, description: 'What came of it', schema: endpointTest },
    problems: {
      ...noBodyProblems,
      409: 'The database belongs to another installation: nothing is sent until an operator confirms',
    },
  },
]
