import type { JsonSchema } from './json-schema.ts'

/** A JSON Schema for people: its type in words, and a row a property. */
export function SchemaView({ schema }: { schema: JsonSchema }) {
  const properties = schema.properties
  if (properties === undefined || Object.keys(properties).length === 0) return <TypeOf schema={schema} />
  const required = schema.required ?? []
  return (
    <table>
      {Object.entries(properties).map(([name, property]) => (
        <tr>
          <th scope="row">
            <code>{name}</code>
            {required.includes(name) && ' *'}
          </th>
          <td>
            <Nested schema={property} />
          </td>
          <td>{property.description}</td>
        </tr>
      ))}
    </table>
  )
}

/** An object within is shown in full, also where it may be null. */
function Nested({ schema }: { schema: JsonSchema }) {
  const choices = schema.anyOf ?? [schema]
  const object = choices.find((choice) => choice.properties !== undefined)
  if (object === undefined) return <TypeOf schema={schema} />
  return (
    <>
      {choices.length > 1 && 'null, or'}
      <SchemaView schema={object} />
    </>
  )
}

function TypeOf({ schema }: { schema: JsonSchema }) {
  const ref = schema.$ref
  if (ref !== undefined) {
    const name = ref.split('/').at(-1)!
    return <a href={`#schema-${name}`}>{name}</a>
  }
  const choices = schema.anyOf
  if (choices !== undefined) {
    return (
      <>
        {choices.map((choice, n) => (
          <>
            {n > 0 && ' or '}
            <TypeOf schema={choice} />
          </>
        ))}
      </>
    )
  }
  if (schema.type === 'array' && schema.items !== undefined) {
    return (
      <>
        list of <TypeOf schema={schema.items} />
      </>
    )
  }
  return <span>{inWords(schema)}</span>
}

function inWords(schema: JsonSchema): string {
  const { const: only, enum: values, type, format, minimum, maximum, maxLength } = schema
  if (only !== undefined) return JSON.stringify(only)
  if (Array.isArray(values)) return values.map((value) => JSON.stringify(value)).join(', ')
  const types = [type ?? 'anything'].flat().join(' or ')
  const limits = [
    format,
    minimum !== undefined && maximum !== undefined ? `${minimum} to ${maximum}` : undefined,
    maxLength !== undefined ? `at most ${maxLength} characters` : undefined,
  ].filter((limit) => limit !== undefined)
  return limits.length === 0 ? types : `${types} (${limits.join(', ')})`
}
