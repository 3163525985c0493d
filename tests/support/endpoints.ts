import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { claim, type Claimed, type ClaimOptions, ringStart } from '../../src/dispatch/claim.ts'
import type { DispatcherOptions } from '../../src/dispatch/dispatcher.ts'
import { type Settled, settle, type Settlement } from '../../src/dispatch/settle.ts'
import { onCleanup } from './cleanup.ts'
import type { TestDatabase } from './database.ts'
import { createTestDispatcher, type TestDispatcher } from './dispatcher.ts'
import { type Answer, type Answerer, createReceiver, type Receiver } from './receiver.ts'

interface HasAfter {
  after(run: () => Promise<void>): void
}

export async function receiver(t: HasAfter, answer?: Answer | Answerer): Promise<Receiver> {
  const created = await createReceiver(answer === undefined ? {} : { answer })
  onCleanup(t, () => created.close())
  return created
}

/** A URL where nobody listens. */
export async function refusedUrl(): Promise<string> {
  const gone = await createReceiver()
  await gone.close()
  return gone.url()
}

export function dispatcher(
  t: HasAfter,
  db: TestDatabase,
  options: Partial<DispatcherOptions> = {},
): TestDispatcher {
  const created = createTestDispatcher(db, options)
  onCleanup(t, () => created.stop())
  return created
}

export async function clear(db: TestDatabase): Promise<void> {
  await db.query('truncate webhook_outbox, webhook_history, webhook_attempts, webhook_endpoints')
}

/** Rows put in by SQL, a millisecond younger each; `columns` are further columns with their SQL expressions of `n`. */
export async function owe(
  db: TestDatabase,
  url: string,
  count = 1,
  columns: Record<string, string> = {},
): Promise<void> {
  const all: Record<string, string> = {
    entity_id: `'t' || n`,
    task_id: `'t' || n`,
    next_attempt_at: `now() - interval '1 minute' + n * interval '1 ms'`,
    ...columns,
  }
  await db.query(
    `insert into webhook_outbox (event_type, entity_type, url, payload, ${Object.keys(all).join(', ')})
     select 'task.completed', 'task', $1, '{}', ${Object.values(all).join(', ')}
     from generate_series(1, $2::integer) n`,
    [url, count],
  )
}

/** The row of an endpoint that has proved itself, with what else is known of it as SQL expressions. */
export async function endpoint(
  db: TestDatabase,
  url: string,
  { in_flight = '0', ...columns }: Record<string, string> = {},
): Promise<void> {
  const all: Record<string, string> = { slots: '1000', slow: 'false', ...columns }
  await db.query(
    `insert into webhook_endpoints (id, url, ${Object.keys(all).join(', ')})
     values (md5($1)::uuid, $1, ${Object.values(all).join(', ')})`,
    [url],
  )
  await db.query(`update webhook_claims set claimed = ${in_flight} where endpoint_id = md5($1)::uuid`, [url])
}

/** For `endpoint`: an open breaker whose probe is due. */
export const open = {
  breaker: `'open'`,
  failures: '10',
  failing_since: `now() - interval '1 minute'`,
  opened_at: `now() - interval '1 minute'`,
  probe_at: 'now()',
  probe_wait: `interval '1 second'`,
}

export interface EndpointRow extends Record<string, unknown> {
  id: string
  breaker: 'closed' | 'open' | 'probing'
  in_flight: number
  slots: number
  slow: boolean
  failures: number
  paused_at: Date | null
  paused_reason: string | null
  owes_dead: boolean
  last_status: number | null
  last_error: string | null
  /** Seconds. */
  probe_in: number | null
  probe_wait_s: number | null
  recover_in: number | null
  recover_wait_s: number | null
}

export async function endpointOf(db: TestDatabase, url: string): Promise<EndpointRow> {
  const [row] = await db.query<EndpointRow>(
    `select e.*, (c.claimed - e.settled)::integer as in_flight,
       extract(epoch from probe_at - clock_timestamp())::float8 as probe_in,
       extract(epoch from probe_wait)::float8 as probe_wait_s,
       extract(epoch from recover_at - clock_timestamp())::float8 as recover_in,
       extract(epoch from recover_wait)::float8 as recover_wait_s
     from webhook_endpoints e join webhook_claims c on c.endpoint_id = e.id where e.id = md5($1)::uuid`,
    [url],
  )
  assert.ok(row, `there is an endpoint ${url}`)
  return row
}

/** One claim, of everything in reach unless told otherwise. */
export async function claimDue(db: TestDatabase, options: Partial<ClaimOptions> = {}): Promise<Claimed[]> {
  return (await claim(db.pool, { ...claimEverything, ...options })).claimed
}

export const claimEverything: ClaimOptions = {
  limit: 1_000,
  leaseMs: 10_000,
  maxInFlight: 1_000_000,
  perEndpoint: 1_000,
  slowBudget: 1_000,
  held: {},
  hanging: [],
  hot: [],
  visits: 256,
  after: ringStart,
  marks: null,
}

export function settleAll(db: TestDatabase, settlements: Settlement[], perEndpoint = 16): Promise<Settled> {
  return settle(db.pool, settlements, { perEndpoint })
}

const answered = (durationMs: number) => ({ startedAt: new Date(), durationMs, response: '' })

export function delivered(claimed: Claimed, durationMs = 5): Settlement {
  return { claimed, kind: 'delivered', status: 200, error: null, ...answered(durationMs) }
}

/** As deliver.ts has it: a probe that fails keeps its place. */
export function failed(claimed: Claimed, waitMs = 60_000): Settlement {
  const attempt = { claimed, status: 503, error: '503 Service Unavailable', ...answered(5) }
  return claimed.probe ? { kind: 'probe-failed', ...attempt } : { kind: 'retry', waitMs, ...attempt }
}

export function died(claimed: Claimed, recoverable: boolean): Settlement {
  const attempt = { claimed, status: recoverable ? 503 : 404, error: 'died', ...answered(5) }
  return { kind: 'dead', recoverable, pause: false, ...attempt }
}

/** An answer after `delayMs` that watches how many requests are under way at once. */
export function gauge(delayMs: number): {
  answer: Answerer
  highest: () => number
  seen: { at: number; underWay: number }[]
} {
  let underWay = 0
  const seen: { at: number; underWay: number }[] = []
  return {
    answer: async () => {
      underWay++
      seen.push({ at: performance.now(), underWay })
      await sleep(delayMs)
      underWay--
      return { status: 200 }
    },
    highest: () => Math.max(0, ...seen.map((one) => one.underWay)),
    seen,
  }
}

/**
 * Rows of webhook_outbox that this session has read: counted in its transaction, and what it has read before and not yet
 * reported is counted along, so that only a difference means anything.
 */
export async function rowsRead(client: pg.PoolClient): Promise<number> {
  const { rows } = await client.query<{ read: string }>(
    `select idx_tup_fetch + seq_tup_read as read from pg_stat_xact_user_tables where relname = 'webhook_outbox'`,
  )
  return Number(rows[0]?.read ?? 0)
}
