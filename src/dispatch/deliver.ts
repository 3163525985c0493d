import { leaseMarginMs } from '../config.ts'
import type { Exchange } from '../delivery/exchange.ts'
import type { Sender } from '../delivery/send.ts'
import { urlLabel } from '../delivery/url-label.ts'
import { judge } from '../delivery/verdict.ts'
import type { Log } from '../observe/log.ts'
import type { Claimed } from './claim.ts'
import { nextWaitMs } from './retry-schedule.ts'
import type { Attempt, Settlement } from './settle.ts'

export interface DeliverOptions {
  sender: Sender
  log: Log
  /** Milliseconds before each retry, where the endpoint has no schedule of its own. */
  schedule: readonly number[]
  leaseMs: number
  /** The deadline of an exchange, where the endpoint has none of its own. */
  timeoutMs: number
  /** Aborted when the grace of a shutdown is over. */
  signal: AbortSignal
  /** Nothing new is sent once a shutdown has begun. */
  stopping: boolean
}

/** Makes one attempt and logs it; says what is to be recorded. Never rejects. */
export async function deliver(claimed: Claimed, options: DeliverOptions): Promise<Settlement> {
  const { sender, log, signal } = options
  const timeoutMs = timeoutOf(claimed, options)
  // An event loop that was blocked must not send under a lease that another may have taken meanwhile. What the lease has
  // beyond a whole exchange is for the way to the send, and for the settling, by halves.
  const sendBefore = claimed.claimedAt + (options.leaseMs - timeoutMs) / 2
  if (options.stopping || performance.now() > sendBefore) return { claimed, kind: 'released' }
  const { url, eventId, attempt, payload } = claimed
  const [headers, secrets] = [claimed.settings?.headers ?? undefined, claimed.settings?.secrets ?? undefined]
  const traceparent = claimed.traceparent ?? undefined
  const delivery = { url, eventId, attempt, payload, timeoutMs, headers, secrets, traceparent }
  const exchange = await sender.send(delivery, signal)
  const settlement = decide(claimed, exchange, options)
  logAttempt(log, settlement)
  return settlement
}

/** An endpoint's own deadline must leave the lease its two seconds, whatever SQL has set. */
function timeoutOf({ settings }: Claimed, { leaseMs, timeoutMs }: DeliverOptions): number {
  const own = settings?.timeout_ms ?? null
  return own === null ? timeoutMs : Math.min(own, Math.max(timeoutMs, leaseMs - leaseMarginMs))
}

function decide(claimed: Claimed, exchange: Exchange, options: DeliverOptions): Settlement {
  const answered = exchange.kind === 'answered'
  const verdict = judge(exchange)
  const attempt: Attempt = {
    startedAt: exchange.startedAt,
    durationMs: exchange.durationMs,
    status: answered ? exchange.status : null,
    error: verdict.kind === 'delivered' ? null : verdict.error,
    response: answered ? exchange.response : null,
  }
  // What the shutdown cut short says nothing of the receiver.
  if (!answered && options.signal.aborted) return { claimed, kind: 'handed-back', ...attempt }
  switch (verdict.kind) {
    case 'delivered':
      return { claimed, kind: 'delivered', ...attempt }
    case 'dead':
      return { claimed, kind: 'dead', recoverable: false, pause: verdict.pauseEndpoint === true, ...attempt }
    case 'retry': {
      // What was brought back from the dead has its one try, and is dead again until the next.
      if (claimed.probe && !claimed.once) return { claimed, kind: 'probe-failed', ...attempt }
      const waitMs = nextWaitMs({
        schedule: claimed.once ? [] : (claimed.settings?.retry_schedule_ms ?? options.schedule),
        attempt: claimed.attempt - claimed.attemptsBefore,
        waitAtLeastMs: verdict.waitAtLeastMs,
        random: Math.random(),
      })
      return waitMs === null
        ? { claimed, kind: 'dead', recoverable: true, pause: false, ...attempt }
        : { claimed, kind: 'retry', waitMs, ...attempt }
    }
    default:
      return verdict satisfies never
  }
}

/** One line an attempt; the URL appears as its origin and a short hash. */
function logAttempt(log: Log, settlement: Settlement): void {
  if (settlement.kind === 'released') return
  const { claimed } = settlement
  const { origin, hash } = urlLabel(claimed.url)
  const line = {
    event_id: claimed.eventId,
    event_type: claimed.eventType,
    attempt: claimed.attempt,
    url: origin,
    url_hash: hash,
    outcome: settlement.kind,
    status: settlement.status,
    duration_ms: settlement.durationMs,
    ...(settlement.error === null ? {} : { error: settlement.error }),
    ...(settlement.kind === 'retry' ? { retry_in_ms: settlement.waitMs } : {}),
  }
  if (settlement.kind === 'delivered') log.info(line, 'delivered')
  else log.warn(line, settlement.kind === 'dead' ? 'given up' : 'not delivered')
}
