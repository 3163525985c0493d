import { sql } from 'kysely'
import { duration } from '../../words.ts'
import { type Check, type Finding, wrong } from './finding.ts'

const longestSkewMs = 5_000

export const clock: Check = {
  name: 'clock',
  async look({ db }) {
    const before = Date.now()
    const { rows } = await sql<{ now: Date }>`select clock_timestamp() as now`.execute(db)
    return checkClock({ before, there: rows[0]!.now.getTime(), after: Date.now() })
  },
}

/** @param times in milliseconds: this machine's before and after the database was asked for its own, `there` */
export function checkClock({
  before,
  there,
  after,
}: Record<'before' | 'there' | 'after', number>): Finding[] {
  const skew = there < before ? there - before : Math.max(there - after, 0)
  if (Math.abs(skew) <= longestSkewMs) return []
  const off = `${duration(Math.abs(skew) / 1000)} ${skew > 0 ? 'ahead of' : 'behind'}`
  return [
    wrong(
      `the clock of the database is ${off} the one of this machine: webhook-timestamp is of the dispatcher's machine, and what is due is by the database's`,
      'let both be set by NTP (chronyd or systemd-timesyncd)',
    ),
  ]
}
