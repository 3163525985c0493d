/** What one HTTP exchange with a receiver came to. */
export type Exchange = Answered | Failed

/**
 * A final status line arrived. It stands even if the body then broke off or never ended (contract, section
 * 3).
 *
 * - `response`: the first at most 2 KiB of the body's bytes, undecoded (no gzip), read as UTF-8, storable in
 *   Postgres
 * - `retryAfter`, `location`: those headers as they were sent, or null
 * - `durationMs`: whole milliseconds from the start until the answer was read
 */
export interface Answered {
  kind: 'answered'
  status: number
  response: string
  retryAfter: string | null
  location: string | null
  startedAt: Date
  durationMs: number
}

/**
 * No final status line arrived.
 *
 * - `reason`: 'address' means that nothing was sent, because the URL or its address is not allowed
 * - `error`: words for an operator; names at most host and port, never path, query or credentials
 */
export interface Failed {
  kind: 'failed'
  reason: FailureReason
  error: string
  startedAt: Date
  durationMs: number
}

export type FailureReason = 'timeout' | 'network' | 'tls' | 'address'
