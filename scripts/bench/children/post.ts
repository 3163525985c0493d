import { createSender } from '../../../src/delivery/send.ts'

/** One delivery of a peer: what its job carries. */
export interface PeerJob {
  url: string
  eventId: string
  /** The event; its JSON is sent. */
  body: unknown
}

/**
 * - `own`: the service's send function, so that only the queues differ
 * - `fetch`: the global one with a timeout, as a user writes it
 */
export type SendKind = 'own' | 'fetch'

/** POSTs a job; rejects unless it is answered by a 2xx, which is what makes a peer retry. */
export type Post = (job: PeerJob, attempt: number) => Promise<void>

export function createPost(kind: SendKind): Post {
  return kind === 'own' ? ownPost() : fetchPost
}

function ownPost(): Post {
  const sender = createSender({ timeoutMs: 10_000, version: 'bench', maxSockets: 256 })
  return async ({ url, eventId, body }, attempt) => {
    const exchange = await sender.send({ url, eventId, attempt, payload: JSON.stringify(body) })
    if (exchange.kind === 'failed') throw new Error(exchange.error)
    if (exchange.status < 200 || exchange.status > 299) throw new Error(`answered ${exchange.status}`)
  }
}

async function fetchPost({ url, eventId, body }: PeerJob): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'webhook-id': eventId },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  })
  await response.arrayBuffer()
  if (!response.ok) throw new Error(`answered ${response.status}`)
}
