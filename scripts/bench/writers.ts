import type pg from 'pg'
import type { CaseContext } from './case.ts'
import { chooseLoad, type Statement } from './load.ts'
import { alternate } from './rounds.ts'
import { connect } from './stage.ts'
import { exampleBody } from './peers.ts'
import { seedTasks } from './tasks.ts'

export const CLIENTS = 16
const TASKS = 20_000

/** Each is a transition to the other of the two statuses that are captured, of a task at random. */
export const update: Statement = {
  sql: `update tasks set status = case status when 'completed' then 'failed' else 'completed' end, completed_at = now()
    where id = 'writers/' || :id`,
}

/** What fires on the transition in place of the capture, or nothing. */
export type Trigger = 'capture' | 'constant' | 'empty' | 'none'

export interface Party {
  trigger: Trigger
  script: Statement[]
  /** Whether each transaction leaves a row in webhook_outbox. */
  writes: boolean
}

/** Values for what a captured row of `update` holds, of the same length. */
const constantColumns =
  'event_type, entity_type, entity_id, project_id, ticket_id, task_id, agent_id, url, payload'
const constantValues = `'task.completed', 'task', 'writers/00001', 'writers', 'writers', 'writers/00001', null,
    'http://127.0.0.1:9/hook', '${exampleBody}'`

/** One statement that writes so many of them. */
export const insertConstants = (count: number) =>
  `insert into webhook_outbox (${constantColumns}) select ${constantValues} from generate_series(1, ${count})`

/** Spaced, because pgbench takes `:null` for a variable. */
const spacedBody = exampleBody.replaceAll('":', '": ')

/** A hand-written outbox: it looks the URL up, and inserts. */
export const lookUp: Statement = {
  sql: `select coalesce(nullif(ticket.webhook_url, ''), nullif(project.webhook_url, '')) as url
    from tasks task join tickets ticket on ticket.id = task.ticket_id left join projects project on project.id = ticket.project_id
    where task.id = 'writers/' || :id`,
  keep: true,
}
export const insertByHand: Statement = {
  sql: `insert into webhook_outbox (event_type, entity_type, entity_id, project_id, ticket_id, task_id, url, payload)
    values ('task.completed', 'task', 'writers/' || :id, 'writers', 'writers', 'writers/' || :id, :url, '${spacedBody}')`,
}

/**
 * Transactions a second of each party, in turns, with no dispatcher running.
 * @param url of the project, null for none anywhere
 * @throws where a party left other rows than one for each of its transactions
 */
export async function compareWriters<Name extends string>(
  context: CaseContext,
  url: string | null,
  parties: Record<Name, Party>,
): Promise<{ by: string; rates: Record<Name, number[]> }> {
  const database = await context.stage.createDatabase('writers')
  const db = await connect(database)
  await seedTasks(db, 'writers', url, TASKS)
  await createTriggers(db)
  const { by, run } = await chooseLoad(context, database)
  const seconds = context.options.quick ? 2 : 8
  const measure = async ({ trigger, script, writes }: Party) => {
    await reset(db, trigger)
    const { transactions, elapsedMs } = await run({ clients: CLIENTS, tasks: TASKS, seconds, script })
    await verify(db, writes ? transactions : 0)
    return (transactions * 1_000) / elapsedMs
  }
  const runs = Object.fromEntries(
    Object.entries<Party>(parties).map(([name, party]) => [name, () => measure(party)]),
  ) as Record<Name, () => Promise<number>>
  const rates = await alternate(context, runs, { unit: '/s' })
  await db.end()
  return { by, rates }
}

/** In place of the capture, and disabled until `enableTrigger`; see Trigger. */
export async function createTriggers(db: pg.Client): Promise<void> {
  for (const [name, body] of [
    ['constant', `insert into webhook_outbox (${constantColumns}) values (${constantValues});`],
    ['empty', ''],
  ] as const) {
    await db.query(
      `create function bench_${name}() returns trigger language plpgsql as $$ begin ${body} return null; end $$`,
    )
    // The condition is that of the capture.
    await db.query(
      `create trigger bench_${name} after update on tasks for each row
       when (old.status is distinct from new.status and new.status::text collate "C" in ('completed', 'failed'))
       execute function bench_${name}()`,
    )
  }
}

/** The one that fires from now on. */
export async function enableTrigger(db: pg.Client, trigger: Trigger): Promise<void> {
  for (const [name, one] of [
    ['webhook_capture_task', 'capture'],
    ['bench_constant', 'constant'],
    ['bench_empty', 'empty'],
  ] as const) {
    await db.query(`alter table tasks ${one === trigger ? 'enable' : 'disable'} trigger ${name}`)
  }
}

/** The same start for each round: one trigger, nothing owed, no dead rows, no checkpoint due. */
async function reset(db: pg.Client, trigger: Trigger): Promise<void> {
  await enableTrigger(db, trigger)
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
