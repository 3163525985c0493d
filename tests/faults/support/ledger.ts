import assert from 'node:assert/strict'
import type { TestDatabase } from '../../support/database.ts'
import { eventually } from '../../support/eventually.ts'
import type { Journal } from './journal.ts'
import { type Note, PRODUCER } from './producer.ts'
import type { Received } from './receiver.ts'

export interface LedgerOptions {
  db: Pick<TestDatabase, 'query'>
  /** What receivers got. */
  journal: Journal<Received>
  /** What producers did. */
  log: Journal<Note>
  /** I7: by then nothing is owed any more. */
  withinMs: number
  /** I4: leases that may have been lost, which is what was in flight at the faults. */
  lostLeasesAtMost: number
  /** Tasks whose events got their count of attempts by SQL: I6 says nothing of them. */
  oddAttempts?: readonly string[]
}

/** What was compared, in numbers. */
export interface LedgerFigures {
  committed: number
  rolledBack: number
  delivered: number
  dead: number
  posts: number
  /** 2xx answers beyond the first of an event. */
  duplicates: number
  lostLeases: number
  /** Milliseconds until nothing was owed any more. */
  settledAfterMs: number
}

interface EventRow {
  event_id: string
  task_id: string | null
  place: string
  attempts: number
}

interface AttemptRow {
  event_id: string
  attempt: number
  error: string | null
}

/**
 * Compares what was committed, what receivers got and what the database says, after a fault is healed: invariants I1 to I7.
 * @throws with every difference, each named after its invariant
 */
export async function checkLedger(options: LedgerOptions): Promise<LedgerFigures> {
  const { db } = options
  const start = performance.now()
  await untilNothingIsOwed(db, options.withinMs)
  const settledAfterMs = Math.round(performance.now() - start)

  const changes = await resolveDoubts(db, await options.log.lines())
  const received = await options.journal.lines()
  const events = await db.query<EventRow>(`
    select event_id, task_id, 'owed' as place, attempts from webhook_outbox
    union all select event_id, task_id, outcome, attempts from webhook_history`)
  const attempts = await db.query<AttemptRow>('select event_id, attempt, error from webhook_attempts')
  const breaches = await db.query<{ event_id: string; what: string }>(
    'select event_id, what from witness_breach',
  )

  const books = { changes, received, events, attempts }
  const lost = attempts.filter((attempt) => attempt.error?.startsWith('lost:')).length
  const { duplicates, differences } = checkDuplicates(books)
  const all = [
    ...checkPlaces(books),
    ...checkSent(books),
    ...checkDelivered(books),
    ...differences,
    ...breaches.map(({ event_id, what }) => `I5 ${event_id}: ${what}`),
    ...checkAttempts(books, new Set(options.oddAttempts)),
  ]
  if (lost > options.lostLeasesAtMost) {
    all.push(
      `I4 ${lost} leases were lost, where ${options.lostLeasesAtMost} deliveries were in flight at a fault`,
    )
  }
  const shown = all.slice(0, 30).join('\n')
  assert.equal(all.length, 0, `the ledger shows ${all.length} difference(s):\n${shown}`)
  return {
    committed: changes.committed.size,
    rolledBack: changes.rolledBack.size,
    delivered: events.filter((event) => event.place === 'delivered').length,
    dead: events.filter((event) => event.place === 'dead').length,
    posts: received.filter((line) => line.status === undefined).length,
    duplicates,
    lostLeases: lost,
    settledAfterMs,
  }
}

/** I7. */
export async function untilNothingIsOwed(db: LedgerOptions['db'], withinMs: number): Promise<void> {
  await eventually(
    async () => {
      const rows = await db.query(
        `select state, attempts, count(*)::integer, min(coalesce(lease_until, next_attempt_at)) - now() as due_in,
           min(last_error) as error
         from webhook_outbox group by state, attempts`,
      )
      assert.deepEqual(rows, [])
    },
    { timeoutMs: withinMs, description: 'I7: nothing is owed any more' },
  )
}

interface Changes {
  committed: Set<string>
  rolledBack: Set<string>
}

/** Asks the database about the changes whose end is not known, once their sessions are over. */
async function resolveDoubts(db: LedgerOptions['db'], lines: Note[]): Promise<Changes> {
  const tasksThat = (outcome: Note['outcome']) =>
    lines.filter((line) => line.outcome === outcome).flatMap((line) => line.tasks)
  const [committed, rolledBack] = [tasksThat('committed'), tasksThat('rolled back')]
  const known = new Set([...committed, ...rolledBack])
  const inDoubt = tasksThat('begun').filter((task) => !known.has(task))
  if (inDoubt.length > 0) {
    await eventually(
      async () =>
        assert.deepEqual(
          await db.query(
            `select pid, query from pg_stat_activity
             where datname = current_database() and (application_name = $1 or application_name like 'api %')
               and state <> 'idle'`,
            [PRODUCER],
          ),
          [],
        ),
      { timeoutMs: 30_000, description: 'the sessions of the producers are over' },
    )
  }
  const rows = await db.query<{ id: string; done: boolean }>(
    `select id, status in ('completed', 'failed') as done from tasks where id = any($1)`,
    [inDoubt],
  )
  const resolved = (done: boolean) => rows.filter((row) => row.done === done).map((row) => row.id)
  return {
    committed: new Set([...committed, ...resolved(true)]),
    rolledBack: new Set([...rolledBack, ...resolved(false)]),
  }
}

interface Books {
  changes: Changes
  received: Received[]
  events: EventRow[]
  attempts: AttemptRow[]
}

/** I1: each committed change has one event, in one place, and nothing else has one. */
function checkPlaces({ changes, events }: Books): string[] {
  const byTask = groupBy(events, (event) => event.task_id ?? '')
  const byEvent = groupBy(events, (event) => event.event_id)
  const differences: string[] = []
  for (const task of changes.committed) {
    const places = byTask.get(task) ?? []
    if (places.length === 0) differences.push(`I1 lost: ${task} was committed, and there is no event of it`)
    if (places.length > 1)
      differences.push(`I1 ${task} has ${places.length} events: ${places.map(describe).join(', ')}`)
  }
  for (const [id, places] of byEvent) {
    if (places.length > 1)
      differences.push(`I1 ${id} is in ${places.length} places: ${places.map(describe).join(', ')}`)
    const task = places[0]!.task_id ?? ''
    if (!changes.committed.has(task)) {
      const why = changes.rolledBack.has(task) ? 'was rolled back' : 'nobody changed'
      differences.push(`I1 false: ${id} is an event of ${task}, which ${why}`)
    }
  }
  return differences
}

/** I2: nothing is sent for what was rolled back. */
function checkSent({ changes, received, events }: Books): string[] {
  const taskOf = new Map(events.map((event) => [event.event_id, event.task_id]))
  return received.flatMap(({ status, id, task, attempt }) => {
    const owner = taskOf.get(id)
    const right = owner != null && changes.committed.has(owner) && (task === '' || task === owner)
    if (status !== undefined || right) return []
    return [`I2 false: ${id} of ${task || owner}, which was not committed, was sent (attempt ${attempt})`]
  })
}

/** I3: what counts as delivered was answered with a 2xx. */
function checkDelivered({ received, events }: Books): string[] {
  const accepted = new Set(received.filter(isSuccess).map((line) => line.id))
  return events
    .filter((event) => event.place === 'delivered' && !accepted.has(event.event_id))
    .map((event) => `I3 ${event.event_id} counts as delivered, and no receiver answered it with a 2xx`)
}

/** I4: an extra 2xx only for an attempt that is on record as lost, or as cut short by a shutdown. */
function checkDuplicates({ received, attempts }: Books): { duplicates: number; differences: string[] } {
  const errors = new Map(attempts.map((row) => [`${row.event_id}/${row.attempt}`, row.error]))
  let duplicates = 0
  const differences: string[] = []
  for (const [id, accepted] of groupBy(received.filter(isSuccess), (line) => line.id)) {
    duplicates += accepted.length - 1
    const unexplained = accepted.filter(
      (line) => !/^(lost|aborted)/.test(errors.get(`${id}/${line.attempt}`) ?? ''),
    )
    if (accepted.length > 1 && unexplained.length > 1) {
      const list = accepted.map((line) => `attempt ${line.attempt}: ${errors.get(`${id}/${line.attempt}`)}`)
      differences.push(`I4 ${id} was answered with a 2xx ${accepted.length} times (${list.join('; ')})`)
    }
  }
  return { duplicates, differences }
}

/** I6: an attempt counts before its POST, is sent once at most, and is on record once. */
function checkAttempts({ received, events, attempts }: Books, odd: ReadonlySet<string>): string[] {
  const recorded = groupBy(attempts, (row) => row.event_id)
  const posts = groupBy(
    received.filter((line) => line.status === undefined),
    (line) => line.id,
  )
  const differences: string[] = []
  for (const event of events) {
    if (odd.has(event.task_id ?? '')) continue
    const numbers = (recorded.get(event.event_id) ?? []).map((row) => row.attempt).sort((a, b) => a - b)
    const counted = Array.from({ length: event.attempts }, (_, index) => index + 1)
    if (event.place !== 'owed' && numbers.join() !== counted.join()) {
      differences.push(
        `I6 ${describe(event)}: attempts counted 1–${event.attempts}, on record: ${numbers.join(', ')}`,
      )
    }
    const sent = (posts.get(event.event_id) ?? []).map((line) => line.attempt)
    if (
      sent.length > event.attempts ||
      new Set(sent).size < sent.length ||
      sent.some((n) => n > event.attempts)
    ) {
      differences.push(`I6 ${describe(event)}: attempts counted ${event.attempts}, sent: ${sent.join(', ')}`)
    }
  }
  return differences
}

function isSuccess({ status }: Received): boolean {
  return status !== undefined && status >= 200 && status <= 299
}

function describe(event: EventRow): string {
  return `${event.event_id} (${event.place}, ${event.task_id ?? 'no task'})`
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(key(item))
    if (group) group.push(item)
    else groups.set(key(item), [item])
  }
  return groups
}
