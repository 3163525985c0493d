/** What an attempt sent, as far as it may be shown. */
export interface SentRequest {
  /** Without query and credentials. */
  url: string
  event_id: string
  attempt: number
  /** ISO 8601; of the attempt. */
  at: string | null
  /** The body's exact text. */
  payload: string
  version: string
}

/** The headers of an attempt: contract, section 2. */
export function headersOf({ event_id, attempt, at, version }: SentRequest): [string, string][] {
  const seconds = Math.floor((at === null ? Date.now() : Date.parse(at)) / 1000)
  return [
    ['content-type', 'application/json'],
    ['user-agent', `webhook-outbox/${version}`],
    ['webhook-id', event_id],
    ['webhook-timestamp', String(seconds)],
    ['webhook-attempt', String(attempt)],
  ]
}

/** The attempt as a command for a POSIX shell. */
export function curlOf(request: SentRequest): string {
  const headers = headersOf(request).map(([name, value]) => `-H ${quote(`${name}: ${value}`)}`)
  return [`curl -i ${quote(request.url)}`, ...headers, `--data-binary ${quote(request.payload)}`].join(
    ' \\\n  ',
  )
}

/** Within single quotes a shell takes all for what it is. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
