import { createApp } from '../../src/api/app.ts'
import type { AppOptions } from '../../src/api/context.ts'
import { kyselyOver } from '../../src/database/connection.ts'
import { migrateToLatest } from '../../src/database/migrate.ts'
import { createSender } from '../../src/delivery/send.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

/** Everything that the answers of this API hold. */
export interface Body extends Record<string, unknown> {
  id: string
  created_at: string
  updated_at: string
  started_at: string
  completed_at: string
  last_heartbeat: string
  webhook_url: string
  stuck: { reason: string; started_at: string }
  items: Body[]
  next_cursor: string | null
  detail: string
  errors: { pointer: string; detail: string }[]
}

export interface Answer {
  status: number
  headers: Headers
  text: string
  /** Of JSON; a test that looks at what is not there fails. */
  body: Body
}

export interface CallOptions {
  headers?: Record<string, string>
  /** Sent as it is, instead of `body` as JSON. */
  raw?: string | Uint8Array<ArrayBuffer>
}

export interface TestApi {
  app: ReturnType<typeof createApp>
  database: TestDatabase
  /** Everything that the app logged. */
  logged: object[]
  call(method: string, path: string, body?: unknown, options?: CallOptions): Promise<Answer>
}

export const testConfig: AppOptions['config'] = {
  apiTokens: [],
  role: 'all',
  leaseMs: 30_000,
  maxInFlightPerEndpoint: 16,
  retrySchedule: [1_000, 2_000, 4_000],
  deliveryTimeoutMs: 10_000,
  maxOwedAgeMs: 14 * 86_400_000,
  recoverWindowMs: 86_400_000,
}

/** For an app that sends nothing. */
export const noSender: AppOptions['sender'] = {
  send: () => Promise.reject(new Error('nothing is sent here')),
}

/**
 * The API on a database of its own, called without a socket.
 * @param hostSchema statements that make the host's tables, before this service is added to them
 */
export async function createTestApi(
  owner: { after(run: () => Promise<void>): void },
  options: Partial<AppOptions> = {},
  hostSchema?: string,
): Promise<TestApi> {
  const database = await createTestDatabase({ migrated: hostSchema === undefined })
  onCleanup(owner, () => database.drop())
  if (hostSchema !== undefined) {
    await database.query(hostSchema)
    await migrateToLatest(database.url)
  }
  const sender = createSender({ timeoutMs: 2_000, version: 'test', maxSockets: 64 })
  onCleanup(owner, () => sender.close())
  const logged: object[] = []
  const note = (fields: object, message: string) => void logged.push({ ...fields, message })
  const app = createApp({
    // It shares the test database's pool, which the test database ends.
    db: kyselyOver(database.pool),
    config: testConfig,
    sender,
    version: '0.0.0',
    health: () => Promise.resolve({ status: 'ok', checks: {} }),
    metrics: () => Promise.resolve('# nothing is measured here\n'),
    log: { warn: note, error: note },
    ...options,
  })
  return { app, database, logged, call: callerOf(app) }
}

export function callerOf(app: TestApi['app']): TestApi['call'] {
  return async (method, path, body, { headers = {}, raw } = {}) => {
    const sent = raw ?? (body === undefined ? undefined : JSON.stringify(body))
    const response = await app.request(path, {
      method,
      headers: { ...(sent === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(sent === undefined ? {} : { body: sent }),
    })
    const text = await response.text()
    const isJson = /json/.test(response.headers.get('content-type') ?? '')
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: (isJson && text !== '' ? JSON.parse(text) : undefined) as Body,
    }
  }
}

/** The pointers of a 422, sorted. */
export function pointers(answer: Answer): string[] {
  return answer.body.errors.map((error) => error.pointer).sort()
}
