import { z } from 'zod'

/** The keywords that this service reads; there are more. */
export interface JsonSchema extends Record<string, unknown> {
  $ref?: string
  type?: string | string[]
  description?: string
  properties?: Record<string, JsonSchema>
  required?: string[]
  items?: JsonSchema
  anyOf?: JsonSchema[]
  enum?: unknown[]
  format?: string
  minimum?: number
  maximum?: number
  maxLength?: number
}

const inComponents = '#/components/schemas/'

/**
 * Turns zod schemas into JSON Schema 2020-12, the dialect of OpenAPI 3.1. Those that carry an `id` in their metadata
 * become components, which the others refer to.
 */
export class SchemaWriter {
  readonly components: Record<string, JsonSchema> = {}

  write(schema: z.ZodType): JsonSchema {
    // In a list, a schema with an id is referred to; at the root it would stand in full.
    const { items, $defs = {} } = z.toJSONSchema(z.array(schema), {
      // Keys may be added to answers: they are not closed, as an output would be. And what is sent is before any transform.
      io: 'input',
      unrepresentable: 'any',
      override: ({ jsonSchema }) => {
        // It repeats the format in eight lines, and differs from it in nothing that a client could use.
        if (jsonSchema.format !== undefined) delete jsonSchema.pattern
        if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
        if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
      },
    }) as { items: JsonSchema; $defs?: Record<string, JsonSchema> }
    for (const [id, definition] of Object.entries($defs)) this.components[id] ??= toComponent(definition)
    return toComponent(items)
  }
}

/** References point into the document, and what zod adds for its own use goes. */
function toComponent(schema: JsonSchema): JsonSchema {
  const text = JSON.stringify(schema, (key, value: unknown) => {
    if (key === '$ref' && typeof value === 'string') return value.replace('#/$defs/', inComponents)
    return value
  })
  const component = JSON.parse(text) as JsonSchema
  delete component.id
  return component
}
