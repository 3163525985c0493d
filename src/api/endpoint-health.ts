import { count } from '../words.ts'
import { time } from './answer.ts'
import type { Backlog, EndpointRow } from './endpoint-rows.ts'

export interface Health {
  status: 'new' | 'healthy' | 'failing' | 'open' | 'probing' | 'paused'
  since: string | null
  /** What it is doing, why, and what follows. */
  detail: string
}

/** What an operator wants to know of an endpoint first. */
export function healthOf(row: EndpointRow, owed: Backlog | undefined): Health {
  const events = owed === undefined ? 0 : owed.due + owed.waiting + owed.delivering
  const waits =
    events === 0
      ? 'nothing is owed to it'
      : `${count(events, 'event')} owed to it ${events === 1 ? 'waits' : 'wait'}`
  if (row.paused_at !== null) {
    const why = row.paused_reason ?? 'no reason given'
    const until = events === 0 ? '' : ' for a resume'
    return { status: 'paused', since: time(row.paused_at), detail: `paused (${why}): ${waits}${until}` }
  }
  const failures = `${count(row.failures ?? 0, 'failure')} in a row, the last: ${row.last_error ?? 'unknown'}`
  switch (row.breaker ?? 'closed') {
    case 'open':
      return {
        status: 'open',
        since: time(row.opened_at),
        detail: `${failures}; ${waits}, and one delivery probes it at ${time(row.probe_at) ?? 'an unknown time'}`,
      }
    case 'probing':
      return {
        status: 'probing',
        since: time(row.opened_at),
        detail: `${failures}; one delivery is probing it now, and ${waits}${events === 0 ? '' : ' for what comes of it'}`,
      }
    case 'closed':
      return closed(row, failures, events)
  }
}

function closed(row: EndpointRow, failures: string, events: number): Health {
  const flows =
    events === 0
      ? 'nothing is owed to it'
      : `${count(events, 'event')} owed to it ${events === 1 ? 'flows' : 'flow'}`
  if ((row.failures ?? 0) > 0) {
    return {
      status: 'failing',
      since: time(row.failing_since),
      detail: `${failures}; ${flows}${events === 0 ? ' now' : events === 1 ? ' and is retried' : ' and are retried'}`,
    }
  }
  if (row.last_success_at !== null) {
    return {
      status: 'healthy',
      since: null,
      detail: `it answered with a 2xx at ${time(row.last_success_at) ?? 'an unknown time'}; ${flows}`,
    }
  }
  return { status: 'new', since: null, detail: `it has not answered yet; ${flows}` }
}
