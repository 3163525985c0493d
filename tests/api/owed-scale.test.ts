import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kyselyOver } from '../../src/database/connection.ts'
import { countBacklog } from '../../src/operations/count-backlog.ts'
import { createTestApi } from './support.ts'

const owed = 1_000_000

test('with 1,000,000 owed, most of it to one endpoint, a list takes less than 100 ms and the backlog less than 50', async (t) => {
  const api = await createTestApi(t)
  const { database } = api
  await database.query(
    `insert into webhook_outbox (event_type, entity_type, entity_id, task_id, url, payload, next_attempt_at, created_at)
     select 'task.completed', 'task', 'k' || i, 'k' || i,
       'http://127.0.0.1:9/' || case when i % 10 = 0 then i % 1000 else 1 end, '{}',
       now() + (i % 3600 - 1800) * interval '1 s', now() - i * interval '10 ms'
     from generate_series(1, $1::integer) i`,
    [owed],
  )
  await database.query('vacuum analyze webhook_outbox')
  assert.notEqual(await countBacklog(kyselyOver(database.pool)), null)
  const [sum] = await database.query('select sum(due + waiting)::integer as owed from webhook_backlog')
  assert.equal(sum!['owed'], owed)

  const timed = async (what: string, limitMs: number, run: () => Promise<unknown>) => {
    // The best of five: it is about the plan, and not about what else this machine does.
    let best = Infinity
    for (let i = 0; i < 5; i += 1) {
      const start = performance.now()
      await run()
      best = Math.min(best, performance.now() - start)
    }
    t.diagnostic(`${what}: ${best.toFixed(1)} ms`)
    assert.ok(best < limitMs, `${what} took ${best.toFixed(1)} ms`)
  }
  await timed('select * from webhook_backlog', 50, () => database.query('select * from webhook_backlog'))
  const { body } = await api.call('GET', '/api/v1/deliveries?limit=100')
  const { items } = (await api.call('GET', '/api/v1/endpoints?limit=1')).body
  for (const path of [
    'deliveries?limit=100',
    `deliveries?limit=100&cursor=${body.next_cursor}`,
    'deliveries?state=pending',
    'deliveries?state=delivering',
    'deliveries?state=dead',
    `deliveries/${body.items[0]!['event_id'] as string}`,
    'endpoints?limit=100',
    'endpoints?owed=true&limit=100',
    `endpoints/${items[0]!.id}`,
  ]) {
    await timed(path.slice(0, 40), 100, async () => {
      assert.equal((await api.call('GET', `/api/v1/${path}`)).status, 200)
    })
  }
})
