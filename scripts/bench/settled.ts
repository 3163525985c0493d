import type pg from 'pg'
import { exampleBody } from './peers.ts'

/** So many rows in one statement stay below its timeout. */
const BATCH = 250_000

/** Delivered events with their attempts, as if settled in the course of today. */
export async function settleToday(db: pg.Client, count: number, say: (line: string) => void): Promise<void> {
  for (let done = 0; done < count; done += BATCH) {
    const rows = Math.min(BATCH, count - done)
    await insertSettled(db, { history: 'webhook_history', attempts: 'webhook_attempts', day: null, rows })
    say(`${done + rows} settled rows`)
  }
}

/** A past day of `count` delivered events and their attempts, in partitions of its own as retention finds them. */
export async function settleDay(db: pg.Client, day: string, count: number): Promise<void> {
  const suffix = day.replaceAll('-', '')
  const parents = { history: 'webhook_history_delivered', attempts: 'webhook_attempts_ok' }
  const [history, attempts] = [`${parents.history}_${suffix}`, `${parents.attempts}_${suffix}`]
  for (const [name, parent] of [
    [history, parents.history],
    [attempts, parents.attempts],
  ]) {
    await db.query(
      `create table ${name} (like ${parent} including defaults including constraints including generated)`,
    )
  }
  for (let done = 0; done < count; done += BATCH) {
    await insertSettled(db, { history, attempts, day, rows: Math.min(BATCH, count - done) })
  }
  await db.query(`set timezone = 'UTC'`)
  for (const [name, parent] of [
    [history, parents.history],
    [attempts, parents.attempts],
  ]) {
    await db.query(
      `alter table ${parent} attach partition ${name} for values from ('${day}') to ('${day}'::date + 1)`,
    )
  }
}

interface Settled {
  history: string
  attempts: string
  /** UTC; null for today. */
  day: string | null
  rows: number
}

async function insertSettled(db: pg.Client, { history, attempts, day, rows }: Settled): Promise<void> {
  // A moment of the day, and of today one that has been.
  const at =
    day === null
      ? `now() - random() * (now() - date_trunc('day', now(), 'UTC'))`
      : `timestamptz '${day} 00:00:00+00' + random() * interval '23 hours'`
  await db.query(
    `with settled as materialized (
       select uuidv7(m.at - now()) as event_id, m.n, m.at from (select n, ${at} as at from generate_series(1, $1::integer) n) m
     ), history as (
       insert into ${history} (event_id, event_type, entity_type, entity_id, ticket_id, task_id, url, payload, outcome,
         attempts, last_status, created_at, settled_at)
       select event_id, 'task.completed', 'task', 'settled/' || n, 'settled', 'settled/' || n, 'http://127.0.0.1:9/settled',
         $2::json, 'delivered', 1, 200, at, at from settled
     )
     insert into ${attempts} (event_id, attempt, started_at, duration_ms, status, response)
     select event_id, 1, at, 5, 200, '' from settled`,
    [rows, exampleBody],
  )
}
