import type { Case } from '../case.ts'
import { medianRow } from '../report.ts'
import { alternate, ratios } from '../rounds.ts'
import { connect } from '../stage.ts'
import { completeTasks, insertTasks, tidy } from '../tasks.ts'

const TASKS = 10_000

export const bulk: Case = {
  name: 'bulk',
  summary: 'one update that completes 10,000 tasks, captured and not',
  async run(context) {
    const db = await connect(await context.stage.createDatabase('bulk'))
    const complete = (trigger: 'enable' | 'disable') => async (round: string) => {
      const ticket = `${round}-${trigger}`
      await insertTasks(db, ticket, 'http://127.0.0.1:9/hook', TASKS)
      await db.query('truncate webhook_outbox')
      await db.query(`alter table tasks ${trigger} trigger webhook_capture_task`)
      await tidy(db)
      const beganAt = performance.now()
      const { rowCount } = await db.query(`${completeTasks} ticket_id = $1`, [ticket])
      const elapsedMs = performance.now() - beganAt
      if (rowCount !== TASKS) throw new Error(`wrong result: ${rowCount} tasks were completed`)
      return elapsedMs
    }
    const { captured, bare } = await alternate(
      context,
      { captured: complete('enable'), bare: complete('disable') },
      { unit: 'ms' },
    )
    await db.end()
    return [
      medianRow(`${TASKS} completions in one statement, captured`, captured, 'ms'),
      medianRow('the same without the trigger', bare, 'ms'),
      medianRow('captured / without', ratios(captured, bare), '', { atMost: 3 }),
    ]
  },
}
