import { Client } from '../client/client.ts'
import { UsageError, type Values } from './command.ts'

const defaultUrl = 'http://127.0.0.1:3000'

/** What every command takes that asks the service. */
export const connectionOptions = {
  url: {
    type: 'string',
    value: 'url',
    help: `where the service is; else WEBHOOK_OUTBOX_URL, else ${defaultUrl}`,
  },
  token: {
    type: 'string',
    value: 'token',
    help: 'one of API_TOKENS; else WEBHOOK_OUTBOX_TOKEN, which other users of this machine cannot see',
  },
  timeout: {
    type: 'string',
    value: 'seconds',
    help: 'how long to wait for an answer; 15 unless told otherwise',
  },
  json: { type: 'boolean', help: 'print JSON, as the API has it' },
} as const

type Connection = Pick<Values<typeof connectionOptions>, 'url' | 'token' | 'timeout'>

/** @throws UsageError where the URL, the token or the timeout cannot be one */
export function connect(values: Connection, signal?: AbortSignal): { client: Client; url: string } {
  const url = values.url ?? setting('WEBHOOK_OUTBOX_URL') ?? defaultUrl
  const parsed = URL.parse(url)
  if (parsed === null || !['http:', 'https:'].includes(parsed.protocol)) {
    throw new UsageError('the URL of the service must be one such as http://127.0.0.1:3000')
  }
  if (parsed.username !== '' || parsed.password !== '') {
    throw new UsageError('the URL of the service must hold no credentials: give a token')
  }
  const token = values.token ?? setting('WEBHOOK_OUTBOX_TOKEN')
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw new UsageError('the token must be printable characters without spaces (it is not shown)')
  }
  const seconds = Number(values.timeout ?? 15)
  if (!(seconds > 0 && seconds <= 3_600)) {
    throw new UsageError('--timeout must be a number of seconds up to 3600')
  }
  return {
    client: new Client({ baseUrl: url, token, timeoutMs: Math.ceil(seconds * 1_000), signal }),
    url: parsed.origin,
  }
}

function setting(name: string): string | undefined {
  const value = process.env[name]
  return value === '' ? undefined : value
}
