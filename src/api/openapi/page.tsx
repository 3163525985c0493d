import { hash } from 'node:crypto'
import { html, raw } from 'hono/html'
import { changes } from './route-doc.ts'
import type { OpenApiDocument, OpenApiOperation, OpenApiParameter, OpenApiResponse } from './document.ts'
import type { JsonSchema } from './json-schema.ts'
import { style } from './page-style.ts'
import { SchemaView } from './schema-view.tsx'

/**
 * The document as one page without scripts, that loads nothing: it works offline, and a policy allows its one style
 * sheet, by its hash, and nothing else.
 */
export function renderPage(document: OpenApiDocument) {
  const styleHash = hash('sha256', style, 'base64')
  return {
    html: html`<!doctype html>${(<Page document={document} />)}`,
    policy: `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  }
}

interface Entry {
  method: string
  path: string
  operation: OpenApiOperation
}

function Page({ document }: { document: OpenApiDocument }) {
  const entries = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): Entry => ({ method, path, operation })),
  )
  const received = Object.entries(document.webhooks).map(([path, { post }]): Entry => ({
    method: 'post',
    path,
    operation: post,
  }))
  const { title, version, description } = document.info
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{`${title} ${version}: API`}</title>
        <style>{raw(style)}</style>
      </head>
      <body>
        <nav aria-label="Sections">
          {document.tags.map(({ name }) => (
            <a href={`#${name}`}>{name}</a>
          ))}
          <a href="#schemas">schemas</a>
          <a href="/openapi.json">openapi.json</a>
        </nav>
        <main>
          <h1>
            {title} <small>{version}</small>
          </h1>
          {description.split('\n\n').map((paragraph) => (
            <p>{paragraph.replaceAll('`', '')}</p>
          ))}
          <p>{document.components.securitySchemes['token']?.description}.</p>
          {document.tags.map(({ name }) => (
            <section id={name}>
              <h2>{name}</h2>
              {[...entries, ...received]
                .filter(({ operation }) => operation.tags.includes(name))
                .map((entry) => (
                  <Operation {...entry} document={document} />
                ))}
            </section>
          ))}
          <section id="schemas">
            <h2>schemas</h2>
            {Object.entries(document.components.schemas).map(([name, schema]) => (
              <details id={`schema-${name}`}>
                <summary>
                  <code>{name}</code>
                </summary>
                <SchemaView schema={schema} />
              </details>
            ))}
          </section>
        </main>
      </body>
    </html>
  )
}

function Operation({ method, path, operation, document }: Entry & { document: OpenApiDocument }) {
  const { summary, description, parameters = [], requestBody, responses, security = [] } = operation
  return (
    <details id={operation.operationId.replaceAll(' ', '-')}>
      <summary>
        <b class={method}>{method.toUpperCase()}</b> <code>{path}</code> <span>{summary}</span>
      </summary>
      {description !== undefined && <p>{description}</p>}
      {security.length > 0 && (
        <p>
          Needs a token that may <b>{security[0]?.['token']?.join(', ')}</b>, where tokens are set.
        </p>
      )}
      {path.startsWith('/') && <pre>{curl(method, path, requestBody !== undefined)}</pre>}
      {parameters.length > 0 && <Parameters parameters={parameters} />}
      {requestBody !== undefined && (
        <>
          <h3>Body: {Object.keys(requestBody.content).join(' or ')}</h3>
          <SchemaView schema={Object.values(requestBody.content)[0]!.schema} />
        </>
      )}
      <h3>Answers</h3>
      <table>
        {Object.entries(responses).map(([status, response]) => (
          <Answer status={status} response={response} document={document} />
        ))}
      </table>
    </details>
  )
}

function curl(method: string, path: string, hasBody: boolean): string {
  const verb =
    changes({ method: method as 'get' }) && !(method === 'post' && hasBody)
      ? ` -X ${method.toUpperCase()}`
      : ''
  const body = hasBody ? ` -H 'content-type: application/json' -d '{…}'` : ''
  return `curl -s${verb} "$WEBHOOK_OUTBOX_URL${path}"${body}`
}

function Parameters({ parameters }: { parameters: OpenApiParameter[] }) {
  return (
    <>
      <h3>Parameters</h3>
      <table>
        {parameters.map(({ name, in: place, required, description, schema }) => (
          <tr>
            <th scope="row">
              <code>{name}</code>
              {required && ' *'}
            </th>
            <td>{place}</td>
            <td>
              {description} <SchemaView schema={schema} />
            </td>
          </tr>
        ))}
      </table>
    </>
  )
}

function Answer(props: { status: string; response: OpenApiResponse; document: OpenApiDocument }) {
  const { status, document } = props
  const response = '$ref' in props.response ? shared(document, props.response.$ref) : props.response
  const [type, content] = Object.entries(response.content ?? {})[0] ?? []
  return (
    <tr>
      <th scope="row">{status}</th>
      <td>{response.description}</td>
      <td>
        {type !== undefined && type !== 'application/json' && <code>{type}</code>}{' '}
        {content !== undefined && <SchemaView schema={content.schema} />}
      </td>
    </tr>
  )
}

function shared(document: OpenApiDocument, ref: string): Exclude<OpenApiResponse, { $ref: string }> {
  const found: JsonSchema | undefined = document.components.responses[ref.split('/').at(-1)!]
  return (found ?? { description: ref }) as unknown as Exclude<OpenApiResponse, { $ref: string }>
}
