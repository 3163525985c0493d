import { command } from '../command.ts'
import { databaseError, openDatabase } from '../database.ts'
import {
  backlog,
  deadLetters,
  dispatchers,
  leases,
  notifications,
  oldTransactions,
  sweep,
} from '../doctor/activity.ts'
import { capture, functions, replicationRole } from '../doctor/capture.ts'
import { clock } from '../doctor/clock.ts'
import { type Check, type Finding, type Patient, wrong } from '../doctor/finding.ts'
import { installation } from '../doctor/installation.ts'
import { columns, grants, migrations, partitions, server } from '../doctor/schema.ts'
import type { Output } from '../output.ts'
import { count } from '../../words.ts'

/** Asked in this order; the rest makes sense only where these two hold. */
const first = [server, migrations]
const rest = [
  ...[capture, functions, replicationRole, columns, grants, partitions],
  ...[installation, dispatchers, sweep, backlog, leases, deadLetters],
  ...[notifications, clock, oldTransactions(15)],
]

export const doctor = command({
  about: `Looks at the database of DATABASE_URL, or the embedded one, without the service: migrations; capture triggers,
their functions and rights; session_replication_role; columns of the host's tables; partitions; whose database it is
(INSTALLATION); whether a dispatcher is connected; what is owed and to whom it cannot go; the notification queue, the clock, and transactions that are too old.
It changes nothing. Each finding says what is wrong, and how to mend it.

It exits with 1 where something is wrong; notes do not count.`,
  options: { json: { type: 'boolean', help: 'print JSON' } },
  examples: ['doctor'],
  async run({ values, out }) {
    const { db, config, name: database, close } = await openDatabase()
    try {
      const seen = await examine({ db, config })
      if (values.json) out.json({ database, checks: seen })
      else print(out, database, seen)
      return seen.some(({ findings }) => findings.some(({ level }) => level === 'wrong')) ? 1 : 0
    } finally {
      await close()
    }
  },
})

interface Seen {
  check: string
  findings: Finding[]
}

async function examine(patient: Patient): Promise<Seen[]> {
  const seen: Seen[] = []
  for (const check of first) {
    const result = await look(check, patient)
    seen.push(result)
    if (result.findings.length > 0) return seen
  }
  for (const check of rest) seen.push(await look(check, patient))
  return seen
}

async function look(check: Check, patient: Patient): Promise<Seen> {
  const findings = await check
    .look(patient)
    .catch((error: unknown) => [
      wrong(`it cannot be looked at: ${databaseError(error)}`, 'mend that first, and run doctor again'),
    ])
  return { check: check.name, findings }
}

function print(out: Output, database: string, seen: Seen[]): void {
  // The wrong one is well, too, and lacks the events.
  out.styled('bold', `database ${database}`)
  for (const { check, findings } of seen) {
    if (findings.length === 0) {
      out.line(`ok     ${check}`)
      continue
    }
    for (const { level, what, mend } of findings) {
      out.styled(level === 'wrong' ? 'red' : 'yellow', `${level.padEnd(5)}  ${check}: ${what}`)
      out.line(`       mend: ${mend}`)
    }
  }
  const bad = seen.flatMap(({ findings }) => findings).filter(({ level }) => level === 'wrong').length
  out.line()
  out.line(bad === 0 ? 'Nothing is wrong.' : `${count(bad, 'thing')} to mend.`)
}
