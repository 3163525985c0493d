import { receivedEvent } from '../../events.ts'
import type { OpenApiDocument, OpenApiOperation, OpenApiParameter } from './document.ts'
import type { SchemaWriter } from './json-schema.ts'

/** When each event is sent: contract, section 2. */
const when: Record<string, string> = {
  'task.completed': "A task's status changed to completed",
  'task.failed': "A task's status changed to failed",
  'agent.stuck':
    'An agent gave no heartbeat for too long, or an analysis says that it is stuck; one event for each task that it holds',
  'endpoint.failing':
    "An endpoint's breaker opened, or it was paused by an answer of 410; to OPERATOR_WEBHOOK_URL only",
  'endpoint.recovered': "An endpoint's breaker closed; to OPERATOR_WEBHOOK_URL only",
  'webhook.test': 'A test that an operator sent',
}

const description = [
  'A POST with the content-type application/json, and, where an operator has set some for the endpoint, further headers.',
  'The body is byte for byte the same on every attempt. Deliveries are at least once: deduplicate on webhook-id.',
  'Keys may be added: ignore what you do not know.',
].join(' ')

/**
 * What receivers get, one entry an event type, by the schemas of src/events.ts: the headers, the body, and what each answer
 * means (contract, sections 2 and 3).
 */
export function describeWebhooks(writer: SchemaWriter, version: string): OpenApiDocument['webhooks'] {
  return Object.fromEntries(
    receivedEvent.options.map((event) => {
      const type = event.shape.event_type.value
      const post: OpenApiOperation = {
        operationId: `receive ${type}`,
        summary: when[type] ?? type,
        description,
        tags: ['webhooks'],
        security: [],
        parameters: headers(version),
        requestBody: {
          required: true,
          content: { 'application/json': { schema: writer.write(event) } },
        },
        responses: answers,
      }
      return [type, { post }]
    }),
  )
}

function headers(version: string): OpenApiParameter[] {
  const header = (
    name: string,
    description: string,
    schema: OpenApiParameter['schema'],
    required = true,
  ): OpenApiParameter => ({
    name,
    in: 'header',
    required,
    description,
    schema,
  })
  return [
    header('webhook-id', 'The event_id, the same on every attempt and replay: deduplicate on it', {
      type: 'string',
      format: 'uuid',
    }),
    header('webhook-timestamp', 'Unix seconds of this attempt', { type: 'string', pattern: '^\\d+$' }),
    header('webhook-attempt', '1, 2, …: a replay goes on counting', {
      type: 'string',
      pattern: '^[1-9]\\d*$',
    }),
    header(
      'webhook-signature',
      'Only where the endpoint, or the project, has secrets: a signature of each (Standard Webhooks), made anew for each attempt',
      { type: 'string', pattern: '^v1,[A-Za-z0-9+/]{43}=( v1,[A-Za-z0-9+/]{43}=)?$' },
      false,
    ),
    header('user-agent', `Such as webhook-outbox/${version}`, {
      type: 'string',
      pattern: '^webhook-outbox/',
    }),
    header(
      'traceparent',
      'Trace of the change (W3C Trace Context), where its writer set one or the dispatcher records traces',
      { type: 'string', pattern: '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$' },
      false,
    ),
  ]
}

const later =
  'Tried again after 1 s, 2 s and 4 s (RETRY_SCHEDULE), then dead. Retry-After, in seconds or as an HTTP date, moves the next attempt later, never earlier, at most 24 h'

/** The status line decides, the body never does. Within ten seconds (DELIVERY_TIMEOUT) the exchange must be over. */
const answers: OpenApiOperation['responses'] = {
  '2XX': { description: 'Delivered' },
  '3XX': { description: 'Failed for good: redirects are not followed' },
  '408': { description: later },
  '410': {
    description: 'Failed for good, and the endpoint is paused: what is owed to it waits, nothing is dropped',
  },
  '425': { description: later },
  '429': { description: later },
  '4XX': { description: 'Failed for good' },
  '5XX': { description: later },
  default: {
    description: `An unknown status, as a timeout, a network or a TLS error. ${later}`,
  },
}
