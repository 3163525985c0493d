import type { Case } from '../case.ts'
import { medianRow } from '../report.ts'
import { alternate, ratios } from '../rounds.ts'
import { connect } from '../stage.ts'
import { completeTasks, insertTasks, tidy } from '../tasks.ts'
import { createTriggers, enableTrigger, insertConstants, type Trigger } from '../writers.ts'

const TASKS = 10_000

export const bulk: Case = {
  name: 'bulk',
  summary: 'one update that completes 10,000 tasks, captured and not',
  async run(context) {
    const db = await connect(await context.stage.createDatabase('bulk'))
    await createTriggers(db)
    const timed = async (trigger: Trigger, round: string, statement: string, values?: string[]) => {
      await insertTasks(db, `${round}-${trigger}`, 'http://127.0.0.1:9/hook', TASKS)
      await db.query('truncate webhook_outbox')
      await enableTrigger(db, trigger)
      await tidy(db)
      const beganAt = performance.now()
      const { rowCount } = await db.query(statement, values)
      const elapsedMs = performance.now() - beganAt
      if (rowCount !== TASKS) throw new Error(`wrong result: ${rowCount} rows and not ${TASKS}`)
      return elapsedMs
    }
    const complete = (trigger: Trigger) => (round: string) =>
      timed(trigger, round, `${completeTasks} ticket_id = $1`, [`${round}-${trigger}`])
    const { captured, constant, bare, insert } = await alternate(
      context,
      {
        captured: complete('capture'),
        constant: complete('constant'),
        bare: complete('none'),
        insert: (round) => timed('empty', round, insertConstants(TASKS)),
      },
      { unit: 'ms' },
    )
    await db.end()
    const together = bare.map((ms, round) => ms + insert[round]!)
    return [
      medianRow(`${TASKS} completions in one statement, captured`, captured, 'ms'),
      medianRow('with a trigger that inserts a constant row', constant, 'ms'),
      medianRow('without a trigger', bare, 'ms'),
      medianRow(`one insert of ${TASKS} constant rows into the outbox`, insert, 'ms'),
      medianRow('captured / without', ratios(captured, bare), '', { atMost: 3 }),
      medianRow('constant rows by a trigger / without', ratios(constant, bare), ''),
      medianRow('the floor: update and one insert of all rows / without', ratios(together, bare), ''),
    ]
  },
}
