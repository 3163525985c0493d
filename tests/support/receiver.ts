import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** The body of a webhook; see the contract's section 2. */
export interface WebhookBody {
  event_type: string
  timestamp: string
  entity_type: string
  entity_id: string
  project_id: string | null
  ticket_id: string | null
  task_id: string | null
  agent_id: string | null
  data: Record<string, unknown>
}

export interface ReceivedRequest {
  method: string
  /** With its query. */
  path: string
  headers: IncomingHttpHeaders
  rawBody: Buffer
  /** Parsed when it is read: throws where the raw body is not JSON. */
  readonly body: WebhookBody
  receivedAt: Date
  /** Milliseconds of `performance.now()` when the body was complete. */
  at: number
}

/** `hang` never answers; `reset` ends the connection by a TCP reset. */
export type Answer =
  | { status: number; headers?: Record<string, string>; body?: string | Buffer; delayMs?: number }
  | 'hang'
  | 'reset'

/** Told the request and its number, from 1 on. */
export type Answerer = (request: ReceivedRequest, n: number) => Answer | Promise<Answer>

export interface WaitOptions {
  /** Default 15,000. */
  timeoutMs?: number
  description?: string
}

export interface Receiver {
  url(path?: string): string
  /** In the order in which they were complete. */
  requests: ReceivedRequest[]
  /** Resolves to all requests once there are as many as that. */
  waitFor(count: number, options?: WaitOptions): Promise<ReceivedRequest[]>
  /** Resolves to the first request that it is true for, one that has arrived already or a later one. */
  waitFor(predicate: (request: ReceivedRequest) => boolean, options?: WaitOptions): Promise<ReceivedRequest>
  setAnswer(answer: Answer | Answerer): void
  /** Destroys open connections. Safe twice. */
  close(): Promise<void>
}

/** A real HTTP server on 127.0.0.1 that records what it gets; it answers 200 unless told otherwise. */
export async function createReceiver(options: { answer?: Answer | Answerer } = {}): Promise<Receiver> {
  const requests: ReceivedRequest[] = []
  const watchers = new Set<() => void>()
  let answer: Answer | Answerer = options.answer ?? { status: 200 }

  const server = createServer((incoming, response) => {
    void (async () => {
      const request = await read(incoming)
      if (!request) return
      requests.push(request)
      const n = requests.length
      for (const check of watchers) check()
      try {
        send(typeof answer === 'function' ? await answer(request, n) : answer, response)
      } catch (error) {
        send({ status: 500, body: `the test's answer failed: ${String(error)}` }, response)
      }
    })()
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo

  return {
    url: (path = '/hook') => `http://127.0.0.1:${port}${path}`,
    requests,
    waitFor: waiter(requests, watchers),
    setAnswer: (next) => void (answer = next),
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** @returns undefined if the sender gave up before its body was complete */
async function read(incoming: IncomingMessage): Promise<ReceivedRequest | undefined> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
  } catch {
    return undefined
  }
  const rawBody = Buffer.concat(chunks)
  return {
    method: incoming.method ?? '',
    path: incoming.url ?? '',
    headers: incoming.headers,
    rawBody,
    get body() {
      return JSON.parse(rawBody.toString()) as WebhookBody
    },
    receivedAt: new Date(),
    at: performance.now(),
  }
}

function send(answer: Answer, response: ServerResponse): void {
  if (answer === 'hang') return
  if (answer === 'reset') {
    response.socket?.resetAndDestroy()
    return
  }
  const write = () => response.writeHead(answer.status, answer.headers).end(answer.body)
  if (!answer.delayMs) {
    write()
    return
  }
  const timer = setTimeout(write, answer.delayMs)
  response.once('close', () => clearTimeout(timer))
}

function waiter(requests: ReceivedRequest[], watchers: Set<() => void>): Receiver['waitFor'] {
  const waitFor = (wanted: number | ((request: ReceivedRequest) => boolean), options: WaitOptions = {}) => {
    const { timeoutMs = 15_000 } = options
    const description =
      options.description ?? (typeof wanted === 'number' ? `${wanted} request(s)` : 'a certain request')
    const found = () => {
      if (typeof wanted === 'function') return requests.find(wanted)
      return requests.length >= wanted ? requests : undefined
    }
    return new Promise<ReceivedRequest[] | ReceivedRequest>((resolve, reject) => {
      const settle = (finish: () => void) => {
        clearTimeout(timer)
        watchers.delete(check)
        finish()
      }
      const check = () => {
        try {
          const result = found()
          if (result) settle(() => resolve(result))
        } catch (error) {
          settle(() => reject(error instanceof Error ? error : new Error(String(error))))
        }
      }
      const timer = setTimeout(() => {
        const message = `the receiver did not get ${description} within ${timeoutMs} ms; it got ${listing(requests)}`
        settle(() => reject(new Error(message)))
      }, timeoutMs)
      watchers.add(check)
      check()
    })
  }
  return waitFor as Receiver['waitFor']
}

function listing(requests: ReceivedRequest[]): string {
  if (requests.length === 0) return 'nothing'
  const lines = requests.map(({ method, path, headers, rawBody, receivedAt }) => {
    const id = `id ${String(headers['webhook-id'])}, attempt ${String(headers['webhook-attempt'])}`
    return `  ${receivedAt.toISOString()} ${method} ${path} (${id}) ${rawBody.toString().slice(0, 200)}`
  })
  return `${requests.length}:\n${lines.join('\n')}`
}
