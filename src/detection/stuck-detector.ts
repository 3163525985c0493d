import type { Kysely } from 'kysely'
import { Loop } from '../dispatch/loop.ts'
import type { Database } from '../database/tables.ts'
import type { Log } from '../observe/log.ts'
import { sweepStuckAgents } from './stuck-sweep.ts'

/**
 * Looks for stuck agents every `sweepIntervalMs`, so that one is found within `stuckAfterMs` + `sweepIntervalMs` of its
 * last sign of life. Dispatchers take turns by a row lock; each of them may sweep.
 */
export interface StuckDetectorOptions {
  db: Kysely<Database>
  log: Log
  /** Milliseconds without a heartbeat. */
  stuckAfterMs: number
  sweepIntervalMs: number
  maySend?: () => boolean
}

export function createStuckDetector(options: StuckDetectorOptions): Loop {
  const { db, log, stuckAfterMs, sweepIntervalMs, maySend } = options
  // Three turns missed and a second: a slow sweep or a quick restart is no absence.
  const awayAfterMs = 3 * sweepIntervalMs + 1_000
  return new Loop({
    name: 'the sweep for stuck agents',
    intervalMs: sweepIntervalMs,
    log,
    when: maySend,
    async run() {
      const found = await sweepStuckAgents(db, { stuckAfterMs, awayAfterMs })
      for (const agent_id of found ?? []) log.warn({ agent_id, reason: 'no_heartbeat' }, 'an agent is stuck')
    },
  })
}
