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
  schedule: readonly number[]
  /** `performance.now()` after which too little of the lease is left for a whole exchange. */
  sendBefore: number
  /** Aborted when the grace of a shutdown is over. */
  signal: AbortSignal
  /** Nothing new is sent once a shutdown has begun. */
  stopping: boolean
}

/** Makes one attempt and logs it; says what is to be recorded. Never rejects. */
export async function deliver(claimed: Claimed, options: DeliverOptions): Promise<Settlement> {
  const { sender, log, signal } = options
  // An event loop that was blocked must not send under a lease that another may have taken meanwhile.
  if (options.stopping || performance.now() > options.sendBefore) return { claimed, kind: 'released' }
  const { url, eventId, attempt, payload } = claimed
  const exchange = await sender.send({ url, eventId, attempt, payload }, signal)
  const settlement = decide(claimed, exchange, options)
  logAttempt(log, settlement)
  return settlement
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
    case 'dead':
      return { claimed, kind: verdict.kind, ...attempt }
    case 'retry': {
      const waitMs = nextWaitMs({
        schedule: options.schedule,
        attempt: claimed.attempt - claimed.attemptsBefore,
        waitAtLeastMs: verdict.waitAtLeastMs,
        random: Math.random(),
      })
      return waitMs === null
        ? { claimed, kind: 'dead', ...attempt }
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
