import type { RouteDoc } from './openapi/route-doc.ts'
import { pageOf } from './schemas/answer.ts'
import { discardRequest, operationList, replayRequest } from './schemas/operation.ts'
import { dryRun, operation, started } from './schemas/operation-answer.ts'

const path = '/api/v1/operations/{id}'
const dry = { status: 200, description: 'What it would do, where dry_run is true', schema: dryRun }
const begun = {
  status: 202,
  description: 'It is begun, and dispatchers carry it out',
  schema: started,
  headers: { location: 'Path of the operation' },
}

/** Bulk replays and discards, and how far they are. */
export const operationDocs: RouteDoc[] = [
  {
    method: 'post',
    path: '/api/v1/replays',
    id: 'startReplay',
    tag: 'operations',
    summary: 'Replay all settled events that filters select',
    description: 'With dry_run, which is the default, it only says how many.',
    body: { schema: replayRequest },
    answer: dry,
    alsoAnswers: [begun],
  },
  {
    method: 'post',
    path: '/api/v1/discards',
    id: 'startDiscard',
    tag: 'operations',
    summary: 'Give up all owed events that filters select',
    description: 'With dry_run, which is the default, it only says how many.',
    body: { schema: discardRequest },
    answer: dry,
    alsoAnswers: [begun],
  },
  {
    method: 'get',
    path: '/api/v1/operations',
    id: 'listOperations',
    tag: 'operations',
    summary: 'List bulk replays and discards',
    query: operationList,
    answer: { status: 200, description: 'A page', schema: pageOf(operation) },
  },
  {
    method: 'get',
    path,
    id: 'getOperation',
    tag: 'operations',
    summary: 'Show how far a bulk replay or discard is',
    answer: { status: 200, description: 'The operation', schema: operation },
  },
  {
    method: 'post',
    path: `${path}/cancel`,
    id: 'cancelOperation',
    tag: 'operations',
    summary: 'End a bulk replay or discard before its time',
    description: 'What it did stays done. No body is needed.',
    answer: { status: 200, description: 'The operation', schema: operation },
    problems: { 409: 'It has ended', 413: 'A body came that is larger than 64 KiB' },
  },
]
