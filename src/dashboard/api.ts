import type { Hono } from 'hono'
import type { Env } from '../api/context.ts'
import { jsonText } from '../api/json-text.ts'
import { ApiError } from '../client/errors.ts'

/** The routes of the API without their access control, which take who acts from `actor` in the bindings of the request. */
export type ApiRoutes = Hono<Env>

type Query = Record<string, string | number | undefined>

/**
 * The API's own routes, called in this process: a page checks, answers and audits as the API does.
 * Each method throws ApiError where the answer is a problem.
 */
export class Api {
  readonly #routes: ApiRoutes
  readonly #actor: string | undefined

  constructor(routes: ApiRoutes, actor: string | undefined) {
    this.#routes = routes
    this.#actor = actor
  }

  /** @param path below /api/v1, its ids encoded */
  async get<Answer>(path: string, query: Query = {}): Promise<Answer> {
    const given = Object.entries(query).flatMap<[string, string]>(([name, value]) =>
      value === undefined ? [] : [[name, String(value)]],
    )
    const search = new URLSearchParams(given).toString()
    return this.#send(search === '' ? path : `${path}?${search}`, { method: 'GET' })
  }

  async post<Answer>(path: string, body: object = {}): Promise<Answer> {
    const headers = { 'content-type': 'application/json' }
    return this.#send(path, { method: 'POST', body: jsonText(body), headers })
  }

  async #send<Answer>(path: string, init: RequestInit): Promise<Answer> {
    const response = await this.#routes.request(`/api/v1${path}`, init, { actor: this.#actor })
    const body: unknown = await response.json()
    if (!response.ok) throw new ApiError(body as ConstructorParameters<typeof ApiError>[0])
    return body as Answer
  }
}
