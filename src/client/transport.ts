import ky, { isTimeoutError } from 'ky'
import { fetch as undiciFetch } from 'undici'
import { ApiError, NoAnswer } from './errors.ts'

export interface TransportOptions {
  /** Where the service is, such as http://127.0.0.1:3000. */
  baseUrl: string
  /** One of API_TOKENS, where the service has some. */
  token?: string | undefined
  /** Milliseconds until an answer must be there; default 15,000. */
  timeoutMs?: number | undefined
  signal?: AbortSignal | undefined
}

export interface Sent {
  method: 'get' | 'post' | 'patch' | 'delete'
  path: string
  query?: Record<string, string | number | undefined> | undefined
  body?: unknown
  /** Statuses besides 2xx that are answers, and no errors. */
  expect?: readonly number[]
}

/**
 * Sends requests to the API. Nothing is retried: whoever asks decides, and knows whether it may.
 * @returns the text of the answer
 */
export class Transport {
  readonly #options: TransportOptions
  readonly #client

  constructor(options: TransportOptions) {
    this.#options = options
    const { baseUrl, token, timeoutMs = 15_000, signal } = options
    this.#client = ky.create({
      prefix: baseUrl,
      retry: 0,
      timeout: timeoutMs,
      throwHttpErrors: false,
      // A token is for this service, and not for wherever it may point to.
      redirect: 'manual',
      fetch: throughUndici,
      ...(signal === undefined ? {} : { signal }),
      ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
    })
  }

  /**
   * @throws ApiError where the answer is a problem
   * @throws NoAnswer where there is none, or not this service's
   */
  async send({ method, path, query = {}, body, expect = [] }: Sent): Promise<string> {
    const given = Object.entries(query).filter(([, value]) => value !== undefined)
    const { status, text, type } = await this.#answer(method, path, {
      searchParams: given.map(([name, value]) => [name, String(value)]),
      ...(body === undefined ? {} : { json: body }),
    })
    if ((status >= 200 && status <= 299) || expect.includes(status)) return text
    throw toError(this.#where(path), status, text, type)
  }

  async json<Answer>(sent: Sent): Promise<Answer> {
    const text = await this.send(sent)
    try {
      return JSON.parse(text) as Answer
    } catch {
      throw new NoAnswer(`${this.#where(sent.path)} answered no JSON: is this webhook-outbox?`)
    }
  }

  async #answer(method: Sent['method'], path: string, options: object) {
    try {
      const response = await this.#client(path.replace(/^\//, ''), { method, ...options })
      const type = response.headers.get('content-type') ?? ''
      return { status: response.status, text: await response.text(), type }
    } catch (error) {
      if (this.#options.signal?.aborted) throw error
      const why = isTimeoutError(error) ? 'did not answer in time' : `cannot be reached (${reason(error)})`
      throw new NoAnswer(`${this.#where('')} ${why}`, { cause: error })
    }
  }

  /** Without what a URL may hold of credentials. */
  #where(path: string): string {
    const { origin } = new URL(this.#options.baseUrl)
    return `${origin}${path}`
  }
}

/** The undici of package.json: the global fetch is another one, of another age. */
const throughUndici = (async (request: Request) => {
  const { method, url, headers, signal, redirect } = request
  const body = method === 'GET' ? undefined : await request.text()
  return undiciFetch(url, { method, headers: [...headers], signal, redirect, ...(body ? { body } : {}) })
}) as unknown as typeof fetch

function toError(where: string, status: number, text: string, type: string): Error {
  if (!type.startsWith('application/problem+json')) {
    return new NoAnswer(`${where} answered ${status}, and not as webhook-outbox does: is this the right URL?`)
  }
  const problem = JSON.parse(text) as ConstructorParameters<typeof ApiError>[0]
  return new ApiError(problem)
}

function reason(error: unknown): string {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException
    if (code !== undefined) return code
  }
  return error instanceof Error ? error.message : String(error)
}
