import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { kyselyOver } from '../../src/database/connection.ts'
import { claim, type Claimed, ringStart } from '../../src/dispatch/claim.ts'
import { discardExpired } from '../../src/dispatch/expire.ts'
import { reclaimExpired } from '../../src/dispatch/reclaim.ts'
import { reconcileInFlight } from '../../src/dispatch/reconcile.ts'
import { recoverDead } from '../../src/dispatch/recover.ts'
import type { Settlement } from '../../src/dispatch/settle.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { claimEverything, delivered, died, failed, settleAll } from '../support/endpoints.ts'

let db: TestDatabase

before(async () => {
  db = await createTestDatabase()
})
after(() => db.drop())

const hammerMs = 5_000

test('eight workers and the upkeep on fifty endpoints: no deadlock, and every event is in one place', async (t) => {
  await db.query(
    `insert into webhook_outbox (event_type, entity_type, entity_id, url, payload)
     select 'task.completed', 'task', n::text, 'http://e' || n % 50 || '.example/?' || n, '{}' from generate_series(1, 6000) n`,
  )
  const until = performance.now() + hammerMs
  const errors: unknown[] = []
  let settled = 0
  /** Repeats the work until the time is over; what it throws is kept. */
  const hammer = async (work: () => Promise<unknown>) => {
    while (performance.now() < until) await work().catch((error: unknown) => errors.push(error))
  }
  const kysely = kyselyOver(db.pool)
  const worker = (n: number) => {
    let at = ringStart
    return async () => {
      const { claimed, after: next } = await claim(db.pool, {
        ...claimEverything,
        limit: 10 + n * 5,
        leaseMs: 200,
        perEndpoint: 8,
        slowBudget: 40,
        after: at,
      })
      at = next
      // In an order of their own, some never.
      const some = claimed.sort(() => Math.random() - 0.5).filter(() => Math.random() > 0.05)
      settled += (await settleAll(db, some.map(randomSettlement), 8)).changed.size
    }
  }
  await Promise.all([
    ...Array.from({ length: 8 }, (_, n) => hammer(worker(n))),
    hammer(() => reclaimExpired(db.pool, { leaseMs: 200, maxAttempts: 4 })),
    hammer(async () => {
      await db.query(
        `update webhook_endpoints set recover_at = now(), probe_at = case breaker when 'open' then now() end
         where id in (select id from webhook_endpoints where breaker <> 'probing' order by random() limit 1)`,
      )
      await recoverDead(kysely, 3_600_000)
    }),
    hammer(() => discardExpired(kysely, 3_600_000)),
    hammer(async () => {
      assert.equal(await reconcileInFlight(kysely), 0, 'what is in flight is counted right at any time')
    }),
  ])
  assert.deepEqual(errors, [])
  t.diagnostic(`${settled} settlements`)

  await db.query(`update webhook_outbox set lease_until = now() - interval '1 s' where state = 'delivering'`)
  while ((await reclaimExpired(db.pool, { leaseMs: 200, maxAttempts: 4 })) > 0);
  const [row] = await db.query(
    `select (select count(*)::integer from webhook_events) as events,
       (select count(distinct event_id)::integer from webhook_events) as distinct_events,
       (select sum(c.claimed - e.settled)::integer from webhook_endpoints e join webhook_claims c on c.endpoint_id = e.id) as in_flight,
       (select count(*)::integer from webhook_endpoints where breaker = 'probing') as probing`,
  )
  assert.deepEqual(row, { events: 6_000, distinct_events: 6_000, in_flight: 0, probing: 0 })
  // Each attempt that counts is on record.
  const wrong = await db.query(
    `select event_id, attempts from webhook_events e
     where attempts <> (select count(*) from webhook_attempts a where a.event_id = e.event_id)`,
  )
  assert.deepEqual(wrong, [])
})

function randomSettlement(claimed: Claimed): Settlement {
  const dice = Math.random()
  if (dice < 0.5) return delivered(claimed, dice < 0.1 ? 2_000 : 5)
  if (dice < 0.7) return failed(claimed, 10)
  if (dice < 0.85) return died(claimed, true)
  if (dice < 0.9) return died(claimed, false)
  return { claimed, kind: 'released' }
}
