import type { Options } from './options.ts'
import type { Measured } from './report.ts'
import type { Stage } from './stage.ts'

export interface CaseContext {
  stage: Stage
  options: Options
  /** A line of progress, on standard error. */
  say: (line: string) => void
}

export interface Case {
  name: string
  summary: string
  /** After so many minutes it is ended, whatever hangs; 10 where it is not given. */
  minutes?: number
  /** It runs only where it is named. */
  onRequest?: true
  /**
   * Measures. Times are reported and never judged.
   * @throws where a result is wrong: an event missing or duplicated, a process that ended
   */
  run(context: CaseContext): Promise<Measured[]>
}
