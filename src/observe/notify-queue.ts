import { type Kysely, sql } from 'kysely'
import type { Database } from '../database/tables.ts'
import { Loop } from '../dispatch/loop.ts'
import type { Log } from './log.ts'

/**
 * Watches how full the server's notification queue is. One session that listens and sits in a transaction, anybody's and in
 * any database of the server, keeps the queue from being emptied; once it is full (8 GB unless max_notify_queue_pages says
 * otherwise) each NOTIFY fails the transaction that made it. Warns from `WARN_ABOVE` on, long before dispatchers stop
 * asking for notifications (at half, see sleep-lock.ts), and says when it is over.
 */
export const WARN_ABOVE = 0.1

const intervalMs = 10_000

export function createNotifyQueueWatch({ db, log }: { db: Kysely<Database>; log: Log }): Loop {
  let warned = false
  return new Loop({
    name: 'the watch on the notification queue',
    intervalMs,
    log,
    async run() {
      const usage = await notifyQueueUsage(db)
      if (usage > WARN_ABOVE && !warned) {
        log.warn({ usage }, 'the notification queue fills: a session that listens sits in a transaction')
      }
      if (usage <= WARN_ABOVE && warned) log.info({ usage }, 'the notification queue is emptied again')
      warned = usage > WARN_ABOVE
    },
  })
}

/** From 0 to 1. */
export async function notifyQueueUsage(db: Kysely<Database>): Promise<number> {
  const { rows } = await sql<{ usage: number }>`select pg_notification_queue_usage() as usage`.execute(db)
  return rows[0]!.usage
}
