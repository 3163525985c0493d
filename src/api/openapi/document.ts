import type { z } from 'zod'
import { type AnswerDoc, type RouteDoc, changes } from './route-doc.ts'
import { type JsonSchema, SchemaWriter } from './json-schema.ts'
import { problem, problemTexts } from './problem-schema.ts'
import { describeWebhooks } from './webhooks.ts'

/** An OpenAPI 3.1 document, as far as this service writes one. */
export interface OpenApiDocument {
  openapi: '3.1.1'
  info: { title: string; version: string; description: string; license: { name: string; identifier: string } }
  servers: { url: string }[]
  tags: { name: string }[]
  paths: Record<string, Record<string, OpenApiOperation>>
  webhooks: Record<string, { post: OpenApiOperation }>
  components: Record<'schemas' | 'responses' | 'securitySchemes', Record<string, JsonSchema>>
}

export interface OpenApiOperation {
  operationId: string
  summary: string
  description?: string
  tags: string[]
  security?: Record<string, string[]>[]
  parameters?: OpenApiParameter[]
  requestBody?: { required: boolean; content: Content }
  responses: Record<string, OpenApiResponse>
}

export interface OpenApiParameter {
  name: string
  in: 'path' | 'query' | 'header'
  required: boolean
  description?: string
  schema: JsonSchema
}

export type OpenApiResponse =
  { $ref: string } | { description: string; content?: Content; headers?: Record<string, JsonSchema> }

type Content = Record<string, { schema: JsonSchema }>

const description = `
Transactional-outbox webhooks for Postgres: see \`webhooks\` for what receivers get.

JSON in and out. Errors are RFC 9457 \`application/problem+json\` with \`errors[]\` of JSON Pointers. A PATCH is a JSON merge
patch (RFC 7396): an absent key keeps, null clears. Lists are newest first and give a \`next_cursor\`. Another method on a path
of these gets 405 with Allow, a body over 64 KiB (256 KiB for tasks) 413.
`.trim()

/** @param operations what is served; each schema in them is what its route validates with, or what its answers are made of */
export function describeApi(operations: readonly RouteDoc[], version: string): OpenApiDocument {
  const writer = new SchemaWriter()
  const paths: OpenApiDocument['paths'] = {}
  for (const operation of operations) {
    const methods = (paths[operation.path] ??= {})
    methods[operation.method] = describeOperation(operation, writer)
  }
  const webhooks = describeWebhooks(writer, version)
  const problemSchema = writer.write(problem)
  return {
    openapi: '3.1.1',
    info: {
      title: 'webhook-outbox',
      version,
      description,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    tags: [...new Set([...operations.map(({ tag }) => tag), 'webhooks'])].map((name) => ({ name })),
    paths,
    webhooks,
    components: {
      schemas: writer.components,
      responses: Object.fromEntries(
        Object.entries(problemTexts).map(([status, text]) => [
          `Problem${status}`,
          { description: text, content: { 'application/problem+json': { schema: problemSchema } } },
        ]),
      ),
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description:
            'One of API_TOKENS. Its role is read or write, and write includes read. Where no tokens are set, the service answers this machine only, and asks for none',
        },
      },
    },
  }
}

function describeOperation(operation: RouteDoc, writer: SchemaWriter): OpenApiOperation {
  const { id, summary, tag, body } = operation
  const parameters = describeParameters(operation, writer)
  return {
    operationId: id,
    summary,
    ...(operation.description === undefined ? {} : { description: operation.description }),
    tags: [tag],
    security: operation.open ? [] : [{ token: [changes(operation) ? 'write' : 'read'] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : { requestBody: { required: body.optional !== true, content: contentOf(body, writer) } }),
    responses: describeAnswers(operation, writer),
  }
}

function contentOf({ schema, patch }: NonNullable<RouteDoc['body']>, writer: SchemaWriter): Content {
  const types = patch ? ['application/json', 'application/merge-patch+json'] : ['application/json']
  return Object.fromEntries(types.map((type) => [type, { schema: writer.write(schema) }]))
}

function describeParameters(operation: RouteDoc, writer: SchemaWriter): OpenApiParameter[] {
  const inPath = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name]): OpenApiParameter => ({
    name: name!,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
  const inHeader = Object.entries(operation.headers ?? {}).map(
    ([name, { description, required }]): OpenApiParameter => ({
      name,
      in: 'header',
      required: required === true,
      description,
      schema: { type: 'string' },
    }),
  )
  return [...inPath, ...describeQuery(operation.query, writer), ...inHeader]
}

function describeQuery(query: z.ZodObject | undefined, writer: SchemaWriter): OpenApiParameter[] {
  if (query === undefined) return []
  const { properties = {}, required = [] } = writer.write(query) as {
    properties?: Record<string, JsonSchema>
    required?: string[]
  }
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    ...(typeof description === 'string' ? { description } : {}),
    schema,
  }))
}

function describeAnswers(operation: RouteDoc, writer: SchemaWriter): Record<string, OpenApiResponse> {
  const responses: Record<string, OpenApiResponse> = {}
  for (const answer of [operation.answer, ...(operation.alsoAnswers ?? [])]) {
    responses[answer.status] = describeAnswer(answer, writer)
  }
  const own = operation.problems ?? {}
  for (const status of problemsOf(operation)) {
    responses[status] =
      own[status] === undefined
        ? { $ref: `#/components/responses/Problem${status}` }
        : {
            description: own[status],
            content: { 'application/problem+json': { schema: writer.write(problem) } },
          }
  }
  return responses
}

function describeAnswer(answer: AnswerDoc, writer: SchemaWriter): OpenApiResponse {
  const { description, schema, type = 'application/json', headers } = answer
  return {
    description,
    ...(schema === undefined ? {} : { content: { [type]: { schema: writer.write(schema) } } }),
    ...(headers === undefined
      ? {}
      : {
          headers: Object.fromEntries(
            Object.entries(headers).map(([name, text]) => [
              name,
              { description: text, schema: { type: 'string' } },
            ]),
          ),
        }),
  }
}

/** Statuses of the problems that an operation can answer with, in order. */
export function problemsOf(operation: RouteDoc): number[] {
  const { open, body, query, path, problems = {} } = operation
  const statuses = new Set(Object.keys(problems).map(Number))
  if (!open) for (const status of [401, 403, 500, 503]) statuses.add(status)
  if (path.includes('{')) for (const status of [400, 404]) statuses.add(status)
  if (body !== undefined) for (const status of [400, 413, 415, 422]) statuses.add(status)
  if (query !== undefined) statuses.add(422)
  return [...statuses].sort((a, b) => a - b)
}
