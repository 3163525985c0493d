import { pino } from 'pino'
import type { Config } from '../config.ts'

export type Log = pino.Logger

/** JSON lines on standard output; levels by their names. */
export function createLog(level: Config['logLevel']): Log {
  return pino({
    level,
    base: { service: 'webhook-outbox', pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: chosenFields },
  })
}

/**
 * pg hangs its whole client on the error of an idle connection, and Postgres quotes the row, its URL included, in the detail
 * of a refusal: neither is for a log.
 */
function chosenFields(error: unknown): object {
  if (!(error instanceof Error)) return { message: typeof error }
  const { code, constraint, routine } = error as Error & Record<'code' | 'constraint' | 'routine', unknown>
  return { type: error.name, message: error.message, code, constraint, routine, stack: error.stack }
}
