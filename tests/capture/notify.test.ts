import assert from 'node:assert/strict'
import test from 'node:test'
import pg from 'pg'
import { channel, sleepLockClass } from '../../db/capture.ts'
import { onCleanup } from '../support/cleanup.ts'
import { databaseOfFile, file, inSession, insert, runningTask, setStatus } from './host.ts'

const db = await databaseOfFile()

/** A session that listens, as a dispatcher does; `asleep` says whether it holds the lock of one that sleeps. */
const listener = new pg.Client({ connectionString: db.url })
await listener.connect()
onCleanup(file, () => listener.end())
await listener.query(`listen ${channel}`)
const received: pg.Notification[] = []
listener.on('notification', (notification) => received.push(notification))

const lockKey = `${sleepLockClass}, 'webhook_outbox'::regclass::oid::integer`

/** Notifications by the time that `run` has committed: a marker that is sent after them is the last to arrive. */
async function notifiedBy(run: () => Promise<unknown>, options: { asleep: boolean }): Promise<string[]> {
  received.length = 0
  if (options.asleep) await listener.query(`select pg_advisory_lock(${lockKey})`)
  try {
    await run()
    const marked = new Promise<void>((resolve) => {
      listener.on('notification', function marker({ payload }) {
        if (payload !== 'marker') return
        listener.off('notification', marker)
        resolve()
      })
    })
    await db.query(`select pg_notify('${channel}', 'marker')`)
    await marked
  } finally {
    if (options.asleep) await listener.query(`select pg_advisory_unlock(${lockKey})`)
  }
  return received.map((notification) => notification.payload ?? '').filter((payload) => payload !== 'marker')
}

async function stuckAgent(row: Record<string, unknown> = {}): Promise<string> {
  const agent = await insert(db, 'agents', { agent_type: 'a' })
  await runningTask(db, { assigned_agent_id: agent, ...row })
  return agent
}

const cases: [name: string, asleep: boolean, run: () => Promise<unknown>, notifications: number][] = [
  [
    'while a dispatcher sleeps, a captured change notifies',
    true,
    async () => setStatus(db, await runningTask(db), 'completed'),
    1,
  ],
  ['while none sleeps, it does not', false, async () => setStatus(db, await runningTask(db), 'completed'), 0],
  [
    'an episode that is captured notifies',
    true,
    async () => db.query('insert into agent_stuck_episodes (agent_id) values ($1)', [await stuckAgent()]),
    1,
  ],
  [
    'an episode while none sleeps does not',
    false,
    async () => db.query('insert into agent_stuck_episodes (agent_id) values ($1)', [await stuckAgent()]),
    0,
  ],
  [
    'a change to which no URL applies does not',
    true,
    async () => setStatus(db, await runningTask(db, { ticket_id: null }), 'completed'),
    0,
  ],
  [
    'an episode to which no URL applies does not',
    true,
    async () =>
      db.query('insert into agent_stuck_episodes (agent_id) values ($1)', [
        await stuckAgent({ ticket_id: null }),
      ]),
    0,
  ],
  [
    'a change to another status does not',
    true,
    async () => setStatus(db, await runningTask(db), 'pending'),
    0,
  ],
  [
    'a change that is rolled back does not',
    true,
    async () => {
      const task = await runningTask(db)
      await db.query(`begin; update tasks set status = 'completed' where id = '${task}'; rollback`)
    },
    0,
  ],
  [
    'a change that is rolled back to a savepoint does not',
    true,
    async () => {
      const task = await runningTask(db)
      await db.query(
        `begin; savepoint a; update tasks set status = 'completed' where id = '${task}'; rollback to a; commit`,
      )
    },
    0,
  ],
  [
    'a thousand changes of one transaction notify once',
    true,
    async () => {
      const ticket_id = await insert(db, 'tickets', { title: 't', webhook_url: 'http://bulk.example/' })
      await db.query(
        `insert into tasks (title, ticket_id) select 'x', '${ticket_id}' from generate_series(1, 1000);
         update tasks set status = 'failed' where ticket_id = '${ticket_id}'`,
      )
    },
    1,
  ],
]

for (const [name, asleep, run, notifications] of cases) {
  test(name, async () => {
    // The constant payload is empty: a notification is a hint, and says nothing.
    assert.deepEqual(await notifiedBy(run, { asleep }), Array(notifications).fill(''))
  })
}

test('a writer that found nobody asleep keeps dispatchers from falling asleep until it is over', async () => {
  const task = await runningTask(db)
  const tryLock = async () =>
    (await listener.query<{ got: boolean }>(`select pg_try_advisory_lock(${lockKey}) as got`)).rows[0]!.got
  await inSession(db, async (session) => {
    await session.query('begin')
    await setStatus(session, task, 'completed')
    assert.equal(await tryLock(), false)
    await session.query('commit')
    assert.equal(await tryLock(), true)
  })
  await listener.query(`select pg_advisory_unlock(${lockKey})`)
})

test('writers never wait for the lock, nor for each other', async () => {
  const [one, two] = [await runningTask(db), await runningTask(db)]
  await listener.query(`select pg_advisory_lock(${lockKey})`)
  try {
    await inSession(db, async (session) => {
      await session.query('begin')
      await setStatus(session, one, 'completed')
      await db.query(
        `begin; set local lock_timeout = '1ms'; update tasks set status = 'completed' where id = '${two}'; commit`,
      )
      await session.query('rollback')
    })
  } finally {
    await listener.query(`select pg_advisory_unlock(${lockKey})`)
  }
})
