import pg from 'pg'
import { channel, sleepLockClass } from '../../db/capture.ts'
import type { Log } from '../observe/log.ts'

/**
 * The advisory lock that a sleeping dispatcher holds, so that writers notify (see db/capture.ts for the other side).
 *
 *   free ──tryLock──► taken: every capture from now on notifies, and none that did not notify is still uncommitted
 *        ──tryLock──► writers: a transaction that captured without a NOTIFY is still open; look again soon
 *        ──tryLock──► followed: another dispatcher sleeps under it; its notifications reach this one too
 *        ──tryLock──► crowded: the server's notification queue is half full. Once it is full a NOTIFY fails the commit of
 *                     its writer, so that nobody is asked to notify: whoever sleeps now relies on its poll
 *        ──tryLock──► unreachable: there is no session for it; the poll, again
 *   taken ──tryLock──► held: as before; or crowded, or unreachable, and then it is free
 *
 * It lives on a session of its own: a pooler's transaction mode would lose it, and Postgres frees it when the session
 * ends, so that a dispatcher that died does not leave writers notifying. A session that does not answer within
 * `timeoutMs` is replaced: nobody waits longer for it than for the poll.
 */
export type LockState = 'taken' | 'held' | 'writers' | 'followed' | 'crowded' | 'unreachable'

export interface SleepLockOptions {
  url: string
  log: Log
  /** Milliseconds that its session may take to connect, and to answer. */
  timeoutMs: number
}

export class SleepLock {
  readonly #options: SleepLockOptions
  #client: pg.Client | undefined
  #held = false
  #failing = false

  constructor(options: SleepLockOptions) {
    this.#options = options
  }

  get held(): boolean {
    return this.#held
  }

  async tryLock(): Promise<LockState> {
    const rows = await this.#query<{ state: LockState }>(tryLockSql, [sleepLockClass, this.#held])
    const state = rows?.[0]?.state ?? 'unreachable'
    this.#held = state === 'taken' || state === 'held'
    return state
  }

  /** Lets writers stop notifying. */
  async unlock(): Promise<void> {
    if (!this.#held) return
    this.#held = false
    await this.#query(unlockSql, [sleepLockClass])
  }

  /** Wakes the other dispatchers: more is due than this one can take. */
  async notifyOthers(): Promise<void> {
    await this.#query('select pg_notify($1, $2)', [channel, ''])
  }

  async close(): Promise<void> {
    const client = this.#client
    this.#forget()
    // On a half-open socket the goodbye never ends.
    const patience = new Promise((resolve) => setTimeout(resolve, 1_000).unref())
    await Promise.race([client?.end().catch(() => undefined), patience])
  }

  /** Undefined where the session is lost: its lock went with it. */
  async #query<Row extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<Row[] | undefined> {
    try {
      const client = await this.#connected()
      return (await client.query<Row>(text, values)).rows
    } catch (error) {
      if (!this.#failing)
        this.#options.log.warn({ err: error }, 'the sleep lock has no session: events wait for the poll')
      this.#failing = true
      await this.close()
      return undefined
    }
  }

  async #connected(): Promise<pg.Client> {
    if (this.#client !== undefined) return this.#client
    const { url, log, timeoutMs } = this.#options
    const client = new pg.Client({
      connectionString: url,
      application_name: 'webhook-outbox sleep',
      connectionTimeoutMillis: timeoutMs,
      query_timeout: timeoutMs,
      keepAlive: true,
    })
    client.on('error', (error) => {
      log.warn({ err: error }, 'the session of the sleep lock was lost')
      if (this.#client === client) this.#forget()
    })
    client.on('end', () => {
      if (this.#client === client) this.#forget()
    })
    await client.connect()
    this.#client = client
    // A machine that is gone without a word must not leave writers notifying for the two hours of the usual default.
    await client.query(
      'set tcp_keepalives_idle = 30; set tcp_keepalives_interval = 10; set tcp_keepalives_count = 3',
    )
    this.#failing = false
    return client
  }

  #forget(): void {
    this.#client = undefined
    this.#held = false
  }
}

const key = `$1::integer, 'webhook_outbox'::regclass::oid::integer`
const tryLockSql = `
  select case
    when pg_notification_queue_usage() > 0.5 then
      case when not $2::boolean or pg_advisory_unlock(${key}) then 'crowded' end
    when $2::boolean then 'held'
    when pg_try_advisory_lock(${key}) then 'taken'
    when not pg_try_advisory_lock_shared(${key}) then 'followed'
    when pg_advisory_unlock_shared(${key}) then 'writers'
  end as state`
const unlockSql = `select pg_advisory_unlock(${key})`
