import assert from 'node:assert/strict'
import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import type { JsonSchema } from '../../src/api/openapi/json-schema.ts'
import type { OpenApiDocument, OpenApiOperation } from '../../src/api/openapi/document.ts'

/** One operation of the document that is served. */
export interface Documented {
  path: string
  method: string
  operation: OpenApiOperation
}

export function documentedOperations(document: OpenApiDocument): Documented[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )
}

/** Holds answers and webhooks against the document: what it does not name must not be there. */
export class DocumentChecker {
  readonly #document: OpenApiDocument
  readonly #ajv = new Ajv2020.default({ strict: false, allErrors: true })
  readonly #compiled = new Map<string, ValidateFunction>()

  constructor(document: OpenApiDocument) {
    this.#document = document
    formats.default(this.#ajv)
  }

  /** An answer must have a documented status, its content type, and its schema. */
  answer(operation: OpenApiOperation, answer: { status: number; headers: Headers; text: string }): void {
    const where = `${operation.operationId} ${answer.status}`
    const given = operation.responses[answer.status]
    assert.ok(given, `${where} is documented: ${answer.text.slice(0, 300)}`)
    const response = '$ref' in given ? this.#resolve(given.$ref) : given
    const [type, content] = Object.entries(response.content ?? {})[0] ?? []
    if (type === undefined || content === undefined)
      return assert.equal(answer.text, '', `${where} has no body`)
    assert.equal(answer.headers.get('content-type')?.split(';')[0], type, where)
    for (const name of Object.keys(response.headers ?? {}))
      assert.ok(answer.headers.has(name), `${where}: ${name}`)
    const value: unknown = type.endsWith('json') ? JSON.parse(answer.text) : answer.text
    this.value(content.schema, value, where)
  }

  value(
    schema: JsonSchema,
    value: unknown,
    where: string,
    options: { loose?: boolean } = { loose: true },
  ): void {
    const key = JSON.stringify(schema)
    const { loose = false } = options
    const validate =
      this.#compiled.get(key) ??
      this.#ajv.compile(close({ ...schema, components: this.#document.components }, loose) as JsonSchema)
    this.#compiled.set(key, validate)
    assert.ok(
      validate(value),
      `${where}: ${JSON.stringify(validate.errors)} in ${JSON.stringify(value).slice(0, 500)}`,
    )
  }

  #resolve(ref: string) {
    const found = this.#document.components.responses[ref.replace('#/components/responses/', '')]
    assert.ok(found, `${ref} is there`)
    return found as unknown as Exclude<OpenApiOperation['responses'][string], { $ref: string }>
  }
}

/** The document leaves objects open for later versions; here they name all that there is. */
function close(schema: unknown, keepLoose: boolean): unknown {
  if (Array.isArray(schema)) return schema.map((one) => close(one, keepLoose))
  if (typeof schema !== 'object' || schema === null) return schema
  const closed = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, close(value, keepLoose)]),
  )
  const named =
    typeof closed['properties'] === 'object' && Object.keys(closed['properties'] as object).length > 0
  if (closed['type'] === 'object' && named && (closed['additionalProperties'] === undefined || !keepLoose)) {
    closed['additionalProperties'] = false
  }
  return closed
}
