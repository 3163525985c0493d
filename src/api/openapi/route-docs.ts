import { agentDocs } from '../agents.ts'
import { auditDocs } from '../audit-docs.ts'
import { deliveryDocs } from '../delivery-docs.ts'
import { endpointDocs } from '../endpoint-docs.ts'
import { healthDocs } from '../health.ts'
import { installationDocs } from '../installation.ts'
import { metricsDocs } from '../metrics.ts'
import { operationDocs } from '../operation-docs.ts'
import { projectDocs } from '../projects.ts'
import { secretDocs } from '../secret-docs.ts'
import { taskDocs } from '../tasks.ts'
import { ticketDocs } from '../tickets.ts'
import type { RouteDoc } from './route-doc.ts'
import { documentDocs } from './routes.ts'

/** Everything that the service serves, in the order in which the document shows it. */
export const routeDocs: readonly RouteDoc[] = [
  ...projectDocs,
  ...ticketDocs,
  ...taskDocs,
  ...agentDocs,
  ...deliveryDocs,
  ...endpointDocs,
  ...secretDocs,
  ...operationDocs,
  ...installationDocs,
  ...auditDocs,
  ...healthDocs,
  ...metricsDocs,
  ...documentDocs,
]
