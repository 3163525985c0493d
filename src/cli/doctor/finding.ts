import type { Kysely } from 'kysely'
import type { Config } from '../../config.ts'
import type { Database } from '../../database/tables.ts'

/**
 * - `wrong`: deliveries do not work as they should, or will stop to
 * - `note`: worth to know
 */
export interface Finding {
  level: 'wrong' | 'note'
  what: string
  /** How to mend it: a command, or SQL. */
  mend: string
}

export interface Patient {
  db: Kysely<Database>
  config: Config
}

/** One thing that doctor looks at. What it throws counts as wrong. */
export interface Check {
  name: string
  look(patient: Patient): Promise<Finding[]>
}

export function wrong(what: string, mend: string): Finding {
  return { level: 'wrong', what, mend }
}

export function note(what: string, mend: string): Finding {
  return { level: 'note', what, mend }
}
