import { STATUS_CODES } from 'node:http'

/** One thing that is wrong with a request, and where: a JSON Pointer in its URI fragment form (RFC 6901, section 6). */
export interface FieldError {
  pointer: string
  detail: string
}

interface ProblemOptions {
  errors?: readonly FieldError[]
  headers?: Record<string, string>
  cause?: unknown
}

/** An answer that is an error, as RFC 9457 has it. Thrown anywhere below the app, which answers with it. */
export class Problem extends Error {
  override name = 'Problem'
  readonly status: number
  readonly errors: readonly FieldError[] | undefined
  readonly headers: Record<string, string>

  constructor(status: number, detail: string, { errors, headers = {}, cause }: ProblemOptions = {}) {
    super(detail, { cause })
    this.status = status
    this.errors = errors
    this.headers = headers
  }

  toResponse(): Response {
    const body = {
      type: 'about:blank',
      title: STATUS_CODES[this.status] ?? 'Error',
      status: this.status,
      detail: this.message,
      ...(this.errors === undefined ? {} : { errors: this.errors }),
    }
    return new Response(JSON.stringify(body), {
      status: this.status,
      headers: { 'content-type': 'application/problem+json', ...this.headers },
    })
  }
}

// A request of 256 KiB can be wrong in a hundred thousand places, which nobody reads.
const mostErrors = 100

/** 422, with all that is wrong at once. */
export function invalid(errors: readonly FieldError[]): Problem {
  const unique = new Map(errors.map((error) => [`${error.pointer} ${error.detail}`, error]))
  const listed = [...unique.values()].slice(0, mostErrors)
  const summary = listed.map(({ pointer, detail }) => `${pointer} ${detail}`)
  const detail = summary.length === 1 ? summary[0]! : `${unique.size} values cannot be taken: see errors`
  return new Problem(422, detail, { errors: listed })
}

export function notFound(noun: string): Problem {
  return new Problem(404, `there is no ${noun} with this id`)
}

/** An endpoint is known by what went to it, or by who has it configured. */
export function noEndpoint(): Problem {
  return new Problem(
    404,
    'there is no endpoint with this id: nothing was sent or is owed to it, and no ticket or project has it as its webhook_url',
  )
}

/** `['result', 'a/b', 0]` → `#/result/a~1b/0` */
export function pointer(path: readonly PropertyKey[]): string {
  return `#${path.map((key) => `/${escapeToken(String(key))}`).join('')}`
}

function escapeToken(token: string): string {
  const escaped = token.toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1')
  return encodeURI(escaped).replaceAll('#', '%23')
}
