import type { RouteDoc } from './openapi/route-doc.ts'
import { pageOf } from './schemas/answer.ts'
import { auditList } from './schemas/audit.ts'
import { auditEntry } from './schemas/audit-answer.ts'

export const auditDocs: RouteDoc[] = [
  {
    method: 'get',
    path: '/api/v1/audit',
    id: 'listAudit',
    tag: 'audit',
    summary: 'List what operators changed through the API',
    query: auditList,
    answer: { status: 200, description: 'A page', schema: pageOf(auditEntry) },
  },
]
