import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseDuration } from '../../config.ts'
import { isSecret, secretForm } from '../../delivery/signature.ts'
import { checkWebhook } from '../check-webhook.ts'
import { command, UsageError } from '../command.ts'
import type { Output } from '../output.ts'

const largest = 1024 * 1024

export const listen = command({
  about: `A receiver for development. It answers every POST, prints what arrived, and checks its headers and its body against
what the contract promises to receivers. It listens on 127.0.0.1 until Ctrl-C; the service must allow loopback
(ADDRESS_POLICY=loopback, which is the default on the embedded database).

It exits with 1 where something arrived that is not as promised.`,
  options: {
    port: { type: 'string', value: 'n', help: 'the port; 4000 unless told otherwise, 0 for a free one' },
    status: {
      type: 'string',
      value: 'codes',
      help: 'what to answer, 200 unless told otherwise; 503,503,200 in turn, the last for all that follow',
    },
    delay: { type: 'string', value: 'time', help: 'how long to wait with each answer, such as 500ms or 15s' },
    'retry-after': {
      type: 'string',
      value: 'seconds',
      help: 'send this Retry-After with answers other than 2xx',
    },
    secret: {
      type: 'string',
      value: 'whsec_…',
      help: 'check the signature of each by this secret; else WEBHOOK_SECRET, which other users cannot see',
    },
    count: { type: 'string', value: 'n', help: 'stop after so many' },
    payload: { type: 'boolean', help: 'print the whole body' },
    json: { type: 'boolean', help: 'print one JSON object a line' },
  },
  examples: ['listen', 'listen --port 4001 --status 503,503,200', 'listen --delay 15s'],
  async run({ values, out }) {
    const port = whole('port', values.port, 4000, 0, 65_535)
    const statuses = (values.status ?? '200')
      .split(',')
      .map((code) => whole('status', code.trim(), 200, 200, 599))
    const delayMs = values.delay === undefined ? 0 : parseDuration(values.delay)
    if (delayMs === null) throw new UsageError('--delay must be a duration such as 500ms or 15s')
    const count = whole('count', values.count, Number.POSITIVE_INFINITY, 1, 1_000_000)
    const secret = values.secret ?? (process.env['WEBHOOK_SECRET'] || undefined)
    if (secret !== undefined && !isSecret(secret)) {
      throw new UsageError(`the secret must be ${secretForm} (it is not shown)`)
    }
    const receiver = new Receiver({
      ...{ out, statuses, delayMs, count, secret, retryAfter: values['retry-after'] },
      ...{ json: values.json === true, payload: values.payload === true },
    })
    return receiver.run(port)
  },
})

function whole(name: string, given: string | undefined, otherwise: number, min: number, max: number): number {
  if (given === undefined) return otherwise
  if (/^\d{1,9}$/.test(given) && Number(given) >= min && Number(given) <= max) return Number(given)
  throw new UsageError(`--${name} must be a whole number from ${min} to ${max}`)
}

interface ReceiverOptions {
  out: Output
  statuses: number[]
  delayMs: number
  count: number
  secret: string | undefined
  retryAfter: string | undefined
  json: boolean
  payload: boolean
}

class Receiver {
  readonly #options: ReceiverOptions
  /** How often each webhook-id came. */
  readonly #seen = new Map<string, number>()
  readonly #over = Promise.withResolvers<void>()
  #arrived = 0
  /** Answered, or given up by their sender. */
  #done = 0
  #wrong = 0

  constructor(options: ReceiverOptions) {
    this.#options = options
  }

  /** @returns the exit code, once as many have come as were asked for, or somebody ends it */
  async run(port: number): Promise<number> {
    const { out, json } = this.#options
    const server = createServer((request, response) => {
      this.#take(request, response).catch(() => response.destroy())
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) =>
        reject(
          error.code === 'EADDRINUSE' ? new UsageError(`port ${port} is in use: give another --port`) : error,
        ),
      )
      server.listen(port, '127.0.0.1', resolve)
    })
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    if (json) out.jsonLine({ listening: url })
    else
      out.line(
        `Listening. Give a ticket or a project the webhook_url ${url} (any path will do); Ctrl-C ends it.`,
      )
    const end = () => this.#over.resolve()
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, end)
    await this.#over.promise
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, end)
    await new Promise((resolve) => {
      server.close(resolve)
      server.closeAllConnections()
    })
    if (!json) out.line(`${this.#arrived} arrived, ${this.#wrong} of them not as promised.`)
    return this.#wrong === 0 ? 0 : 1
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { statuses, delayMs, count, retryAfter } = this.#options
    const body = await read(request)
    const at = new Date()
    const n = this.#arrived++
    const status = statuses[Math.min(n, statuses.length - 1)]!
    const problems = checkWebhook(request, body, at, this.#options.secret)
    if (problems.length > 0) this.#wrong++
    const id = String(request.headers['webhook-id'] ?? '')
    const times = (this.#seen.get(id) ?? 0) + 1
    this.#seen.set(id, times)
    this.#print({ request, body, at, status, problems, times })
    // Its timer does not keep a receiver up that is over.
    if (delayMs > 0) await sleep(delayMs, undefined, { ref: false })
    const done = () => ++this.#done >= count && this.#over.resolve()
    // The sender has given up.
    if (response.destroyed) return void done()
    const failed = status < 200 || status > 299
    response.writeHead(status, failed && retryAfter !== undefined ? { 'retry-after': retryAfter } : {})
    response.once('close', done)
    response.end()
  }

  #print(one: Arrival): void {
    const { out, json, payload } = this.#options
    const { request, body, at, status, problems, times } = one
    const text = body.toString()
    if (json) {
      out.jsonLine({
        ...{
          at: at.toISOString(),
          method: request.method,
          path: request.url,
          headers: request.headers,
          body: text,
        },
        ...{ answered: status, times_seen: times, problems },
      })
      return
    }
    const event = parsed(text)
    const again = times > 1 ? ` (seen ${times} times)` : ''
    out.line(
      `${at.toISOString()}  ${word(event['event_type'])} ${word(event['entity_id'])}  attempt ${word(request.headers['webhook-attempt'])}${again}  answered ${status}`,
    )
    out.fields(
      [
        ['webhook-id', word(request.headers['webhook-id'])],
        ['path', request.url],
        ['data', JSON.stringify(event['data'])],
      ],
      '  ',
    )
    if (payload) out.line(`  ${text}`)
    for (const problem of problems) out.styled('red', `  not as promised: ${problem}`)
  }
}

interface Arrival {
  request: IncomingMessage
  body: Buffer
  at: Date
  status: number
  problems: string[]
  times: number
}

function word(value: unknown): string {
  return typeof value === 'string' && value !== '' ? value : '(none)'
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > largest) throw new Error('the body is too large to be one of this service')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
