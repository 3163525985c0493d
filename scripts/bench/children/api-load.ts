/** PATCHes tasks to completed, each once, by autocannon. */
import autocannon from 'autocannon'
import { wallMs } from '../clock.ts'

export interface ApiOrder {
  /** Of the service. */
  url: string
  /** The tasks are those of this ticket, 1 to `count`. */
  ticket: string
  count: number
  connections: number
}

/** From the first request to the last answer; `ok` is how many were answered by a 2xx. */
export interface ApiResult {
  elapsedMs: number
  ok: number
}

async function run({ url, ticket, count, connections }: ApiOrder): Promise<ApiResult> {
  let next = 0
  let lastAt = 0
  const beganAt = wallMs()
  const request: autocannon.Request = {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      status: 'completed',
      result: { result: 'success', output_summary: 'Implemented feature X' },
    }),
    setupRequest: (one) => ({ ...one, path: `/api/v1/tasks/${encodeURIComponent(`${ticket}/${++next}`)}` }),
  }
  const result = await new Promise<autocannon.Result>((done, reject) => {
    const options = { url, connections, amount: count, requests: [request] }
    const load = autocannon(options, (error: Error | null, finished) => {
      if (error === null) done(finished)
      else reject(error)
    })
    load.on('response', () => (lastAt = wallMs()))
  })
  return { elapsedMs: lastAt - beganAt, ok: result['2xx'] }
}

process.on('message', (order: ApiOrder) => void run(order).then((result) => process.send?.(result)))
process.on('SIGTERM', () => process.exit(0))
process.on('disconnect', () => process.exit(0))
