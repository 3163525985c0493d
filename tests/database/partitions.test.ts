import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import test, { after, type TestContext } from 'node:test'
import { type Kysely, sql } from 'kysely'
import { connect } from '../../src/database/connection.ts'
import { createLog } from '../../src/observe/log.ts'
import type { Database } from '../../src/database/tables.ts'
import {
  createPartitionKeeper,
  daysAhead,
  partitionDaysAhead,
  warnBelowDays,
} from '../../src/dispatch/partitions.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

const classes = [
  'webhook_history_delivered',
  'webhook_history_dead',
  'webhook_attempts_ok',
  'webhook_attempts_failed',
]
const defaults = classes.map((parent) => `${parent}_default`)

async function database(
  t: Pick<TestContext, 'after'>,
): Promise<{ db: TestDatabase; kysely: Kysely<Database> }> {
  const db = await createTestDatabase()
  onCleanup(t, () => db.drop())
  const kysely = connect(db.url, { maxConnections: 2 })
  onCleanup(t, () => kysely.destroy())
  return { db, kysely }
}

/** What a settle writes, `day` days from now, in each of the four classes; returns the event ids. */
async function settle(db: TestDatabase, day: number): Promise<{ delivered: string; dead: string }> {
  const [delivered, dead] = [randomUUID(), randomUUID()]
  await db.query(
    `with e (event_id, outcome, error) as (values ($1::uuid, 'delivered', null), ($2::uuid, 'dead', 'refused')),
     h as (insert into webhook_history (event_id, event_type, entity_type, entity_id, url, payload, outcome, attempts,
         last_error, created_at, settled_at)
       select event_id, 'task.completed', 'task', 't', 'http://x.example/', '{"a":  1}', outcome, 1, error,
         now() + $3::integer * interval '1 day', now() + $3::integer * interval '1 day' from e)
     insert into webhook_attempts (event_id, attempt, started_at, duration_ms, status, error)
     select event_id, 1, now() + $3::integer * interval '1 day', 5, 200, error from e`,
    [delivered, dead, day],
  )
  return { delivered, dead }
}

/** The table that holds the rows of each class, by event; rows that do not exist are missing. */
async function placesOf(db: TestDatabase, event: { delivered: string; dead: string }): Promise<string[]> {
  const rows = await db.query<{ place: string }>(
    `select tableoid::regclass::text as place from webhook_history where event_id = any($1)
     union all select tableoid::regclass::text from webhook_attempts where event_id = any($1) order by 1`,
    [[event.delivered, event.dead]],
  )
  return rows.map((row) => row.place)
}

async function dayName(db: TestDatabase, day: number): Promise<string> {
  const [row] = await db.query<{ name: string }>(
    `select to_char((now() at time zone 'UTC')::date + $1::integer, 'YYYYMMDD') as name`,
    [day],
  )
  return row!.name
}

const inDay = async (db: TestDatabase, day: number) => {
  const name = await dayName(db, day)
  return classes.map((parent) => `${parent}_${name}`).toSorted()
}

async function create(db: TestDatabase, days: number): Promise<number> {
  const [row] = await db.query<{ made: number }>('select webhook_create_partitions($1) as made', [days])
  return row!.made
}

async function dropExpired(db: TestDatabase, delivered: string, dead: string): Promise<string[]> {
  const dropped: string[] = []
  for (;;) {
    const [row] = await db.query<{ name: string | null }>(
      'select webhook_drop_expired_partition($1, $2) as name',
      [delivered, dead],
    )
    if (row!.name === null) return dropped
    dropped.push(row!.name)
  }
}

/** Takes days away, as if maintenance had been off since they were made. */
async function removeDays(db: TestDatabase, which: string): Promise<void> {
  const days = await db.query<{ name: string }>(`select name from webhook_partitions where ${which}`)
  if (days.length > 0) await db.query(`drop table ${days.map((row) => row.name).join(', ')}`)
}

test('each class has days from today to 14 ahead as soon as it is migrated', async (t) => {
  const { db, kysely } = await database(t)
  const days = await db.query(
    `select parent, count(*)::int as days, min(day) - (now() at time zone 'UTC')::date as first from webhook_partitions group by 1 order by 1`,
  )
  assert.deepEqual(
    days,
    classes.toSorted().map((parent) => ({ parent, days: 15, first: 0 })),
  )
  assert.equal(await partitionDaysAhead(kysely), daysAhead)
  for (const day of [0, 14]) assert.deepEqual(await placesOf(db, await settle(db, day)), await inDay(db, day))
})

test('making days that are there makes none, and makes what is missing, whatever the session’s time zone', async (t) => {
  const { db, kysely } = await database(t)
  assert.equal(await create(db, 14), 0)
  await db.query(`alter database ${new URL(db.url).pathname.slice(1)} set timezone to 'Pacific/Kiritimati'`)
  const other = connect(db.url, { maxConnections: 1 })
  try {
    const made = await sql<{ made: number }>`select webhook_create_partitions(16) as made`.execute(other)
    assert.equal(made.rows[0]!.made, 8)
  } finally {
    await other.destroy()
  }
  assert.equal(await partitionDaysAhead(kysely), 16)
  const bounds = await db.query(
    `select pg_get_expr(relpartbound, oid) as bound from pg_class where relname = 'webhook_history_dead_' || $1`,
    [await dayName(db, 16)],
  )
  assert.match(String(bounds[0]!['bound']), / 00:00:00\+00'\) TO \('.* 00:00:00\+00'\)$/)
})

test('with maintenance off, rows of days without a partition land in the default, and move out when it is back', async (t) => {
  const { db, kysely } = await database(t)
  await removeDays(db, 'true')
  const events = new Map<number, { delivered: string; dead: string }>()
  for (const day of [-20, -1, 0, 1, 20]) events.set(day, await settle(db, day))
  for (const event of events.values()) assert.deepEqual(await placesOf(db, event), defaults.toSorted())
  assert.equal(await partitionDaysAhead(kysely), -1)
  const before = await db.query('select * from webhook_history order by event_id')

  assert.equal(await create(db, 25), 26 * 4)
  for (const [day, event] of events) {
    // Days that are over get no partition any more.
    assert.deepEqual(await placesOf(db, event), day < 0 ? defaults.toSorted() : await inDay(db, day))
  }
  const after = await db.query('select * from webhook_history order by event_id')
  assert.deepEqual(after, before)
  assert.equal(await partitionDaysAhead(kysely), 25)
})

test('a row goes to the day that its time is of, at midnight UTC exactly', async (t) => {
  const { db } = await database(t)
  const [row] = await db.query<{ midnight: Date }>(
    `select ((now() at time zone 'UTC')::date + 3)::timestamp at time zone 'UTC' as midnight`,
  )
  const rows = await db.query<{ place: string }>(
    `insert into webhook_attempts (event_id, attempt, started_at) values
       (gen_random_uuid(), 1, $1::timestamptz - interval '1 microsecond'), (gen_random_uuid(), 1, $1)
     returning tableoid::regclass::text as place`,
    [row!.midnight],
  )
  assert.deepEqual(
    rows.map((r) => r.place.slice(-8)),
    [await dayName(db, 2), await dayName(db, 3)],
  )
})

test('rows of infinite and extreme times, which no day takes, are kept', async (t) => {
  const { db } = await database(t)
  for (const at of ['-infinity', '4713-01-01 00:00:00+00 BC', '294276-12-31 00:00:00+00', 'infinity']) {
    await db.query(
      `insert into webhook_attempts (event_id, attempt, started_at, error) values (gen_random_uuid(), 1, $1, 'x')`,
      [at],
    )
  }
  assert.equal(await create(db, 15), 4)
  assert.equal((await db.query('select from webhook_attempts_failed_default')).length, 4)
})

const retention: [delivered: string, dead: string, dropped: string[]][] = [
  ['7 days', '30 days', ['delivered -9', 'ok -9', 'delivered -8', 'ok -8']],
  ['30 days', '7 days', ['dead -9', 'failed -9', 'dead -8', 'failed -8']],
  ['30 days', '30 days', []],
]

for (const [delivered, dead, expected] of retention) {
  test(`with ${delivered} for delivered and ${dead} for dead events only days that are wholly over are dropped`, async (t) => {
    const { db } = await database(t)
    // The partitions of days past: the function makes none, so they are made here as it made them then.
    for (let day = -9; day <= -6; day++) {
      const name = await dayName(db, day)
      for (const parent of classes) {
        await db.query(`create table ${parent}_${name} partition of ${parent}
          for values from ('${name} 00:00:00+00') to ('${name} 24:00:00+00')`)
      }
    }
    const dropped = await dropExpired(db, delivered, dead)
    const shown = await Promise.all(
      expected.map(async (entry) => {
        const [kind, day] = entry.split(' ') as [string, string]
        return `${classes.find((parent) => parent.endsWith(`_${kind}`))}_${await dayName(db, Number(day))}`
      }),
    )
    assert.deepEqual(dropped.toSorted(), shown.toSorted())
    // Oldest first.
    assert.deepEqual(
      dropped.map((name) => name.slice(-8)),
      dropped.map((name) => name.slice(-8)).toSorted(),
    )
    assert.equal(
      (await db.query('select from webhook_partitions where day > current_date - 6')).length >= 4 * 15,
      true,
    )
  })
}

test('retention also clears the defaults, row by row, each class by its own time', async (t) => {
  const { db } = await database(t)
  const [old, recent] = [await settle(db, -10), await settle(db, -6)]
  assert.deepEqual(await dropExpired(db, '7 days', '30 days'), [])
  assert.deepEqual(await placesOf(db, old), [
    'webhook_attempts_failed_default',
    'webhook_history_dead_default',
  ])
  assert.deepEqual(await placesOf(db, recent), defaults.toSorted())
  assert.deepEqual(await dropExpired(db, '7 days', '8 days'), [])
  assert.deepEqual(await placesOf(db, old), [])
  assert.deepEqual(await placesOf(db, recent), defaults.toSorted())
})

const blocked: [name: string, sql: (db: TestDatabase) => Promise<string>][] = [
  [
    'dropping a day',
    () => Promise.resolve(`select webhook_drop_expired_partition(interval '-1 day', interval '-1 day')`),
  ],
  ['making a day', () => Promise.resolve('select webhook_create_partitions(15)')],
]

for (const [name, statement] of blocked) {
  test(`${name} that somebody reads gives up within a second, changes nothing, and works later`, async (t) => {
    const { db } = await database(t)
    const count = async () => (await db.query('select from webhook_partitions')).length
    const before = await count()
    const reader = await db.pool.connect()
    try {
      await reader.query('begin; select count(*) from webhook_history; select count(*) from webhook_attempts')
      const started = performance.now()
      await assert.rejects(db.query(await statement(db)), { code: '55P03' })
      assert.ok(performance.now() - started < 1_000)
      assert.equal(await count(), before)
      // Settling goes on meanwhile.
      await settle(db, 0)
      await reader.query('commit')
    } finally {
      reader.release(true)
    }
    await db.query(await statement(db))
    assert.notEqual(await count(), before)
  })
}

test('two dispatchers that make days at once make each of them once', async (t) => {
  const { db, kysely } = await database(t)
  await removeDays(db, 'day > current_date')
  const made = await Promise.all([create(db, 14), create(db, 14), create(db, 14), create(db, 14)])
  const first = made.toSorted((a, b) => b - a)
  assert.deepEqual(first, [56, 0, 0, 0])
  assert.equal(await partitionDaysAhead(kysely), 14)
})

test('two dispatchers that drop days at once drop each of them once, and neither waits for long', async (t) => {
  const { db } = await database(t)
  await removeDays(db, 'day > current_date')
  const drop = () => db.query(`select webhook_drop_expired_partition(interval '-1 day', interval '-1 day')`)
  for (let turn = 0; turn < 12; turn++) await Promise.allSettled([drop(), drop()])
  assert.equal((await db.query('select from webhook_partitions')).length, 0)
})

test('settling while days are made loses nothing', async (t) => {
  const { db } = await database(t)
  await removeDays(db, 'true')
  let settled = 0
  const making = create(db, 14).catch((error: unknown) => error)
  for (let turn = 0; turn < 20; turn++) {
    await settle(db, turn % 3)
    settled += 1
  }
  await making
  await create(db, 14)
  const [rows] = await db.query(
    'select (select count(*) from webhook_history)::int as history, (select count(*) from webhook_attempts)::int as attempts',
  )
  assert.deepEqual(rows, { history: 2 * settled, attempts: 2 * settled })
  for (const name of defaults) assert.deepEqual(await db.query(`select from ${name}`), [])
})

test('the keeper of partitions makes what is missing and drops all that is over', async (t) => {
  const { db, kysely } = await database(t)
  await removeDays(db, 'day > current_date')
  for (const day of [-3, -2, -1]) {
    const name = await dayName(db, day)
    await db.query(`create table webhook_history_dead_${name} partition of webhook_history_dead
      for values from ('${name} 00:00:00+00') to ('${name} 24:00:00+00')`)
  }
  const hour = 3_600_000
  const keeper = createPartitionKeeper({
    db: kysely,
    log: createLog('silent'),
    retentionMs: 1_000 * hour,
    deadRetentionMs: 1 * hour,
  })
  await keeper.runOnce()
  await keeper.stop()
  assert.equal(await partitionDaysAhead(kysely), daysAhead)
  const past = await db.query<{ name: string }>(
    `select name from webhook_partitions where day < (now() at time zone 'UTC')::date`,
  )
  // Yesterday is over by an hour only from one o'clock on.
  assert.ok(past.length <= 1, JSON.stringify(past))
})

// Each row takes more days away than the one before, in one database.
const shrinking = await database({ after: (run: () => Promise<void>) => after(run) })
const ahead: [name: string, which: string, days: number][] = [
  ['all days are there', 'false', 14],
  ['one class ends earlier', `parent = 'webhook_attempts_ok' and day > current_date + 5`, 5],
  ['only today is there', 'day > current_date', 0],
  ['one class has no day', `parent = 'webhook_history_dead'`, -1],
  ['no day is there', 'true', -1],
]

for (const [name, which, days] of ahead) {
  test(`where ${name}, ${days} days are made ahead`, async () => {
    const { db, kysely } = shrinking
    await removeDays(db, which.replaceAll('current_date', `(now() at time zone 'UTC')::date`))
    assert.equal(await partitionDaysAhead(kysely), days)
    assert.ok(warnBelowDays > 0 && warnBelowDays < daysAhead)
  })
}
