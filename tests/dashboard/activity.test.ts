import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { sql } from 'kysely'
import { kyselyOver } from '../../src/database/connection.ts'
import { Activity, type Seen, windowOf } from '../../src/dashboard/activity.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase } from '../support/database.ts'
import { putEvent } from '../support/events.ts'

const database = await createTestDatabase()
onCleanup({ after }, () => database.drop())
const db = kyselyOver(database.pool)

const hour = 3_600_000
/** Noon of today, so that no hour ends meanwhile. */
const now = Date.now() - (Date.now() % hour) + hour / 2
const other = 'http://127.0.0.1:9/other'
const at = (hours: number) => new Date(now - hours * hour)

const settle = (outcome: 'delivered' | 'dead', hours: number, url?: string) =>
  putEvent(database, {
    ...(url === undefined ? {} : { url }),
    outcome,
    created_at: new Date(at(hours).getTime() - 250),
    settled_at: at(hours),
  })

await settle('delivered', 0)
await settle('dead', 0.75)
await settle('delivered', 5)
await settle('dead', 5)
await settle('dead', 5, other)
await settle('dead', 30)
await settle('dead', 6.9 * 24)
await settle('dead', 7.5 * 24)

const dead = ({ slots }: Seen) => slots.reduce((sum, slot) => sum + slot.dead, 0)

describe('what was settled', () => {
  test('is seen over an hour, a day and a week, by the hour where it is long', async () => {
    const activity = new Activity(db, { budgetMs: 60_000 })
    const [short, day, week] = await Promise.all(
      (['1h', '24h', '7d'] as const).map((window) => activity.look(window, undefined, now)),
    )
    assert.deepEqual([short!, day!, week!].map(dead), [1, 3, 5])
    assert.deepEqual(
      [short!, day!, week!].map(({ uncounted }) => uncounted),
      [0, 0, 0],
    )
    const slot = day!.slots.at(-6)!
    assert.deepEqual([slot.at, slot.delivered, slot.dead], [now - hour / 2 - 5 * hour, 1, 2])
    assert.ok(Math.abs(slot.p50! - 250) < 1)
  })

  test('is seen of one endpoint alone', async () => {
    const { rows } = await sql<{ id: string }>`select md5(${other})::uuid as id`.execute(db)
    const activity = new Activity(db, { budgetMs: 60_000 })
    assert.equal(dead(await activity.look('7d', rows[0]!.id, now)), 1)
    assert.equal(dead(await activity.look('7d', undefined, now)), 5)
  })

  test('is counted from now backwards in as many looks as it takes, and each hour that is over once', async () => {
    const activity = new Activity(db, { budgetMs: 0 })
    const left: number[] = []
    for (let i = 0; i < 200 && left.at(-1) !== 0; i++)
      left.push((await activity.look('7d', undefined, now)).uncounted)
    assert.equal(left[0], 166)
    assert.ok(
      left.every((n, i) => i === 0 || n < left[i - 1]!),
      left.join(' '),
    )
    assert.equal(left.at(-1), 0)
    await settle('dead', 50)
    await settle('dead', 0)
    assert.equal(dead(await activity.look('7d', undefined, now + 30_000)), 5)
    assert.equal(dead(await activity.look('7d', undefined, now + 61_000)), 6)
  })
})

test('a window that is none is the last hour', () => {
  assert.deepEqual([undefined, '', '7d', '9d', 'constructor'].map(windowOf), ['1h', '1h', '7d', '1h', '1h'])
})
