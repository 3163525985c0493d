import { randomUUID } from 'node:crypto'
import pg from 'pg'
import type { Journal } from './journal.ts'

/**
 * A note on a change of tasks: one before it, and one when its end is known. A change that was begun and whose end is not noted
 * (its COMMIT was not answered, or its producer was killed) is in doubt: the ledger asks the database once all is healed.
 */
export interface Note {
  outcome: 'begun' | 'committed' | 'rolled back'
  tasks: string[]
}

/** Changes tasks as any backend would, and keeps notes of it on the disk. */
export interface Producer {
  /** Completes `count` tasks, each in a transaction of its own; resolves to those that it knows to be committed. */
  commit(count?: number): Promise<string[]>
  /** Fails `count` tasks in one statement. */
  commitInBulk(count: number): Promise<string[]>
  rollBack(count?: number): Promise<void>
  /** Completes two groups of tasks in one transaction, and rolls the second back to a savepoint; resolves to the first. */
  commitWithSavepoint(count?: number): Promise<string[]>
  /** Running tasks whose webhooks go where this producer's do, for a test that changes them itself. */
  prepare: (count: number) => Promise<string[]>
  close(): Promise<void>
}

export interface ProducerOptions {
  databaseUrl: string
  log: Journal<Note>
  /** One ticket each; tasks take turns. */
  webhookUrls: string[]
}

export const PRODUCER = 'faults producer'

export function createProducer({ databaseUrl, log, webhookUrls }: ProducerOptions): Producer {
  let client: pg.Client | undefined
  let tickets: string[] | undefined

  const connected = async () => {
    if (client) return client
    const fresh = new pg.Client({
      connectionString: databaseUrl,
      application_name: PRODUCER,
      connectionTimeoutMillis: 5_000,
      query_timeout: 15_000,
    })
    fresh.on('error', () => undefined)
    fresh.on('end', () => {
      if (client === fresh) client = undefined
    })
    await fresh.connect()
    return (client = fresh)
  }

  const prepare = async (count: number) => {
    const db = await connected()
    tickets ??= await createTickets(db, webhookUrls)
    const ids = Array.from({ length: count }, () => `task-${randomUUID()}`)
    await db.query(
      `insert into tasks (id, title, ticket_id, status, started_at)
       select id, 'a task', ($2::text[])[1 + n % $3], 'running', now()
       from unnest($1::text[]) with ordinality t (id, n)`,
      [ids, tickets, tickets.length],
    )
    return ids
  }

  /** An error in `change` leaves its end unknown. */
  const noted = async (tasks: string[], change: (db: pg.Client) => Promise<Note['outcome']>) => {
    const db = await connected()
    await log.append({ outcome: 'begun', tasks })
    try {
      const outcome = await change(db)
      await log.append({ outcome, tasks })
      return outcome === 'committed' ? tasks : []
    } catch (error) {
      if (client === db) client = undefined
      await db.end().catch(() => undefined)
      if (!isConnectionLoss(error)) throw error
      return []
    }
  }

  const transaction = (tasks: string[], end: 'commit' | 'rollback') =>
    noted(tasks, async (db) => {
      await db.query('begin')
      await db.query(completeSql, [tasks])
      await db.query(end)
      return end === 'commit' ? 'committed' : 'rolled back'
    })

  return {
    prepare,
    async commit(count = 1) {
      const committed: string[] = []
      for (const task of await prepare(count)) committed.push(...(await transaction([task], 'commit')))
      return committed
    },
    async commitInBulk(count) {
      const tasks = await prepare(count)
      return noted(tasks, async (db) => {
        await db.query(failSql, [tasks])
        return 'committed'
      })
    },
    async rollBack(count = 1) {
      await transaction(await prepare(count), 'rollback')
    },
    async commitWithSavepoint(count = 1) {
      const [kept, undone] = [await prepare(count), await prepare(count)]
      await log.append({ outcome: 'rolled back', tasks: undone })
      return noted(kept, async (db) => {
        await db.query('begin')
        await db.query(completeSql, [kept])
        await db.query('savepoint before_the_mistake')
        await db.query(completeSql, [undone])
        await db.query('rollback to savepoint before_the_mistake')
        await db.query('commit')
        return 'committed'
      })
    },
    async close() {
      await client?.end().catch(() => undefined)
      client = undefined
    },
  }
}

const completeSql = `update tasks set status = 'completed', completed_at = now() where id = any($1)`
const failSql = `update tasks set status = 'failed', error_message = 'it broke' where id = any($1)`

async function createTickets(db: pg.Client, webhookUrls: string[]): Promise<string[]> {
  const ids = webhookUrls.map(() => `ticket-${randomUUID()}`)
  await db.query(
    `insert into tickets (id, title, webhook_url) select id, 'a ticket', url from unnest($1::text[], $2::text[]) t (id, url)`,
    [ids, webhookUrls],
  )
  return ids
}

/** The server went away, or is coming up: SQLSTATE classes 08, 53 and 57, and what sockets and pg say of it. */
export function isConnectionLoss(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string }
  if (code !== undefined) return /^(08|53|57|E[A-Z]+$)/.test(code)
  return /connection|timeout|queryable|closed/i.test(message ?? '')
}
