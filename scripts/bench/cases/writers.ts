import type pg from 'pg'
import type { Case } from '../case.ts'
import { runPgbench, runWriters, type Load } from '../load.ts'
import { medianRow } from '../report.ts'
import { connect } from '../stage.ts'
import { seedTasks } from '../tasks.ts'

const CLIENTS = 16
const TASKS = 20_000

/** Each update is a transition to the other of the two statuses that are captured, of a task at random. */
const update = (id: string) =>
  `update tasks set status = case status when 'completed' then 'failed' else 'completed' end, completed_at = now()
   where id = 'writers/' || ${id}`.replace(/\s+/g, ' ')

/** What capture costs a writer, with no dispatcher running. For information: the trigger must do its work. */
export const writers: Case = {
  name: 'writers',
  summary: 'completions a second with the capture trigger and without, autocommitted',
  async run({ stage, options, say }) {
    const url = await stage.createDatabase('writers')
    const db = await connect(url)
    await seedTasks(db, 'writers', 'http://127.0.0.1:9/hook', TASKS)
    const seconds = options.quick ? 1 : 5
    const load: Load = { url, clients: CLIENTS, tasks: TASKS, seconds, update, guard: stage.guard }
    const run = (await runPgbench({ ...load, seconds: 1 })) === undefined ? runWriters : runPgbench
    const by = run === runPgbench ? 'pgbench' : 'connections of this process'

    const rates: Record<'enable' | 'disable', number[]> = { enable: [], disable: [] }
    for (let round = 1; round <= options.rounds; round++) {
      for (const trigger of ['enable', 'disable'] as const) {
        await reset(db, trigger)
        const { updates, elapsedMs } = (await run(load))!
        await verify(db, trigger === 'enable' ? updates : 0)
        rates[trigger].push((updates * 1_000) / elapsedMs)
      }
      say(`round ${round}: ${rates.enable.at(-1)!.toFixed(0)} of ${rates.disable.at(-1)!.toFixed(0)}/s`)
    }
    await db.end()
    return [
      medianRow(`completions, captured, by ${CLIENTS} ${by}`, rates.enable, '/s'),
      medianRow('the same, capture trigger disabled', rates.disable, '/s'),
      medianRow(
        'ratio',
        rates.enable.map((rate, i) => rate / rates.disable[i]!),
        '',
      ),
    ]
  },
}

/** The same start for each round: nothing owed, no dead rows, no checkpoint due. */
async function reset(db: pg.Client, trigger: 'enable' | 'disable'): Promise<void> {
  await db.query(`alter table tasks ${trigger} trigger webhook_capture_task`)
  await db.query('truncate webhook_outbox')
  await db.query('vacuum analyze tasks')
  await db.query('checkpoint')
}

async function verify(db: pg.Client, expected: number): Promise<void> {
  const { rows } = await db.query<{ events: number }>(
    'select count(*)::integer as events from webhook_outbox',
  )
  const events = rows[0]!.events
  if (events !== expected) throw new Error(`wrong result: ${events} events, and not ${expected}`)
}
