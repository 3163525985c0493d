import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTestApi } from './support.ts'

const columns = 'event_id, event_type, entity_type, entity_id, project_id, ticket_id, task_id, url, payload'
const event = (
  prefix: string,
) => `gen_random_uuid(), 'task.completed', 'task', '${prefix}' || i, 'p' || i % 50, 't' || i % 5000,
  '${prefix}' || i, 'https://host' || i % 40 || '.example/hook', json_build_object('pad', repeat('x', 400))`

test('a page of 200,000 settled and 20,000 owed events takes less than 50 ms, by every filter', async (t) => {
  const api = await createTestApi(t)
  const { database } = api
  // The days of the past have no partitions: they are made as those of the future are.
  await database.query(`
    do $$ declare parent text; day date; begin
      foreach parent in array array['webhook_history_delivered', 'webhook_history_dead'] loop
        for day in select current_date - i from generate_series(1, 30) i loop
          execute format('create table %I partition of %I for values from (%L) to (%L)',
            parent || to_char(day, '_YYYYMMDD'), parent, day::timestamptz, (day + 1)::timestamptz);
        end loop;
      end loop;
    end $$`)
  for (const [outcome, days, count] of [
    ['delivered', 7, 180_000],
    ['dead', 30, 20_000],
  ] as const) {
    await database.query(
      `insert into webhook_history (${columns}, outcome, attempts, last_error, created_at, settled_at)
       select ${event('k')}, '${outcome}', 1, case '${outcome}' when 'dead' then 'HTTP 50' || i % 7 end, at, at + interval '1 s'
       from generate_series(1, ${count}) i, lateral (select now() - interval '${days} days' * (i::float8 / ${count}) as at) time`,
    )
  }
  await database.query(
    `insert into webhook_outbox (${columns}, created_at)
     select ${event('o')}, now() - i * interval '1 s' from generate_series(1, 20000) i`,
  )
  await database.query('analyze')

  const first = (await api.call('GET', '/api/v1/deliveries?limit=100')).body
  const settled = (await api.call('GET', '/api/v1/deliveries?state=delivered&limit=1')).body.items[0]!
  const threeDaysAgo = new Date(Date.now() - 3 * 86_400_000).toISOString()
  const deep = Buffer.from(
    JSON.stringify([threeDaysAgo.replace('Z', '+00:00'), settled['event_id']]),
  ).toString('base64url')
  for (const path of [
    '?limit=100',
    `?limit=100&cursor=${first.next_cursor}`,
    `?limit=100&cursor=${deep}`,
    '?state=dead',
    '?state=delivered',
    '?state=pending',
    '?task_id=k77',
    '?project_id=p7',
    `?from=${threeDaysAgo}&to=${threeDaysAgo.slice(0, 14)}59:59Z`,
    '?state=dead&error=http%20503',
    `?endpoint_id=${settled['endpoint_id'] as string}`,
    `/${settled['event_id'] as string}`,
  ]) {
    // The best of five: it is about the plan, and not about what else this machine does.
    let best = Infinity
    for (let i = 0; i < 5; i += 1) {
      const start = performance.now()
      assert.equal((await api.call('GET', `/api/v1/deliveries${path}`)).status, 200)
      best = Math.min(best, performance.now() - start)
    }
    t.diagnostic(`${path.slice(0, 40)}: ${best.toFixed(1)} ms`)
    assert.ok(best < 50, `${path} took ${best.toFixed(1)} ms`)
  }
})
