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
}

export function createStuckDetector({ db, log, stuckAfterMs, sweepIntervalMs }: StuckDetectorOptions): Loop {
  // Three turns missed and a second: a slow sweep or a quick restart is no absence.
  const awayAfterMs = 3 * sweepIntervalMs + 1_000
  return new Loop({
    name: 'the sweep for stuck agents',
    intervalMs: sweepIntervalMs,
    log,
    async run() {
      const found = await sweepStuckAgents(db, { stuckAfterMs, awayAfterMs })
      for (const agent_id of found ?? []) log.warn({ agent_id, reason: 'no_heartbeat' }, 'an agent is stuck')
    },
  })
}
