import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { connect } from '../../src/database/connection.ts'
import { migrateToLatest } from '../../src/database/migrate.ts'
import { sweepStuckAgents } from '../../src/detection/stuck-sweep.ts'
import { settle } from '../../src/dispatch/settle.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { claimDue } from '../support/endpoints.ts'
import { complete, runningTasks } from '../support/tasks.ts'

/**
 * Change data capture of the host's: a publication of all tables refuses updates and deletes of a table that has neither
 * a key nor another replica identity.
 */
async function database(t: TestContext): Promise<TestDatabase> {
  const db = await createTestDatabase({ migrated: false })
  onCleanup(t, () => db.drop())
  return db
}

/** Everything that is updated or deleted is, at least once. */
async function live(t: TestContext, db: TestDatabase): Promise<void> {
  const kysely = connect(db.url, { maxConnections: 2 })
  onCleanup(t, () => kysely.destroy())
  const [task] = await runningTasks(db, 'http://127.0.0.1:9/')
  await db.query(`insert into agents (id, status) values ('a', 'busy')`)
  await db.query(`update tasks set assigned_agent_id = 'a', started_at = now() - interval '1 hour'`)
  assert.deepEqual(await sweepStuckAgents(kysely, { stuckAfterMs: 1_000, awayAfterMs: 1_000 }), ['a'])
  await db.query(`update agents set last_heartbeat = now() where id = 'a'`)
  assert.equal((await db.query('select from agent_stuck_episodes where ended_at is null')).length, 0)

  await complete(db, [task!])
  const claimed = await claimDue(db)
  assert.equal(claimed.length, 2)
  const attempt = { startedAt: new Date(), durationMs: 1, status: 200, error: null, response: '' }
  const settlements = claimed.map((of) => ({ claimed: of, kind: 'delivered' as const, ...attempt }))
  await settle(db.pool, settlements, { perEndpoint: 16 })
  await db.query('delete from webhook_history')
  await db.query('delete from webhook_attempts')
  await db.query(`select webhook_create_partitions(20), webhook_drop_expired_partition('7 days', '30 days')`)
}

test('a database with a publication of all tables can be migrated, and everything works', async (t) => {
  const db = await database(t)
  await db.query('create publication everything for all tables')
  await migrateToLatest(db.url)
  await live(t, db)
})

test('a publication of the whole schema that comes later breaks nothing', async (t) => {
  const db = await database(t)
  await migrateToLatest(db.url)
  await db.query('create publication everything for tables in schema public')
  await live(t, db)
})
