import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type pg from 'pg'
import type { Case, CaseContext } from '../case.ts'
import { readProfile, timeByPart } from '../cpu-profile.ts'
import { serviceDrainer } from '../drain.ts'
import { startReceiver } from '../service.ts'
import { connect, startStage } from '../stage.ts'

/** By a CPU profile of the dispatcher, pg_stat_statements, and what the system says of the processes. */
export const cpu: Case = {
  name: 'cpu',
  summary: 'where the processor time of a delivery goes: node by part, Postgres by statement, receiver; WAL',
  async run(outer) {
    const count = outer.options.quick ? 5_000 : 50_000
    const { guard } = outer.stage
    const stage = await startStage(guard, { shared_preload_libraries: 'pg_stat_statements' })
    const profile = await mkdtemp(join(tmpdir(), 'webhook-outbox-profile-'))
    await guard.removeAtEnd(profile)
    const context: CaseContext = { ...outer, stage, options: { ...outer.options, profile } }
    const db = await connect(await stage.createDatabase('statements'))
    await db.query('create extension pg_stat_statements')
    const receiver = await startReceiver(context)
    const drainer = await serviceDrainer({ context, receiver, count })
    await drainer.run('warm-up')
    await db.query('select pg_stat_statements_reset()')
    await drainer.run('measured')
    const statements = await statementTimes(db)
    await drainer.stop()
    await Promise.all([receiver.stop(), db.end()])
    await stage.stop()

    const used = drainer.cpu.at(-1)!
    const times = timeByPart(await readProfile(profile), drainer.spans.at(-1)!)
    // Samples say how often a part was at work, also while the thread waited for a core; the system says what all used.
    const sampled = [...times.values()].reduce((sum, time) => sum + time, 0)
    const node = used['the sending process'] ?? Number.NaN
    const row = (measure: string, value: number | null, unit = 'µs') =>
      value === null ? [] : [{ measure, value, unit, n: count }]
    return [
      ...row('node', node),
      ...[...times]
        .toSorted(([, a], [, b]) => b - a)
        .flatMap(([part, time]) => row(`node: ${part}`, (node * time) / sampled)),
      ...row('Postgres', used['Postgres'] ?? null),
      ...statements.flatMap(({ statement, ms, calls, wal }) => [
        ...row(`Postgres: elapsed time of its statements, ${statement}`, (ms * 1_000) / count),
        ...row(`${statement}: deliveries a statement`, count / calls, ''),
        ...row(`${statement}: WAL`, wal / count, 'bytes'),
      ]),
      ...row('receiver', used['receiver'] ?? null),
    ]
  },
}

interface StatementTime {
  statement: string
  ms: number
  calls: number
  /** Bytes. */
  wal: number
}

async function statementTimes(db: pg.Client): Promise<StatementTime[]> {
  const { rows } = await db.query<StatementTime>(
    `select statement, sum(total_exec_time)::float8 as ms, sum(calls)::float8 as calls, sum(wal_bytes)::float8 as wal
     from (
       select *, case when query like '%from webhook_claim(%' then 'claim' when query like '%from webhook_settle(%' then 'settle' end as statement
       from pg_stat_statements
     ) s where statement is not null group by statement order by statement`,
  )
  return rows
}
