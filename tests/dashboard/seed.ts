import type { TestDatabase } from '../support/database.ts'

const hosts = {
  steady: 'https://alerts.example.com/hooks/tasks',
  down: 'https://pager.example.net/v2/events',
  paused: 'https://old-board.example.org/incoming',
  flaky: 'https://metrics.example.com/ingest/webhooks',
}

const id = (url: string) => `md5('${url}')::uuid`
const error503 = '503 Service Unavailable'

/**
 * A service in the middle of a day: three endpoints in trouble, stuck agents, an operation, and `settled` events of the last days,
 * of which those of the last hour are drawn.
 */
export async function seedTrouble(
  db: TestDatabase,
  { owed = 1_000, settled = 20_000 }: { owed?: number; settled?: number } = {},
): Promise<void> {
  await db.query(`
    insert into projects (id, name) select 'project-' || n, 'Project ' || n from generate_series(1, 5) n;
    insert into tickets (id, title, project_id, webhook_url)
      select 'ticket-' || n, 'Ticket ' || n, 'project-' || 1 + n % 5, '${hosts.steady}' from generate_series(1, 50) n;
    insert into webhook_endpoints (id, url, slots, slow, last_success_at, last_status) values
      (${id(hosts.steady)}, '${hosts.steady}', 64, false, now() - interval '2 seconds', 200);
    insert into webhook_endpoints (id, url, slots, slow, breaker, failures, failing_since, opened_at, probe_at, probe_wait,
      last_success_at, last_failure_at, last_status, owes_dead, recover_at, last_error) values
      (${id(hosts.down)}, '${hosts.down}', 1, true, 'open', 14, now() - interval '43 minutes', now() - interval '42 minutes',
       now() + interval '70 seconds', interval '2 minutes', now() - interval '44 minutes', now() - interval '50 seconds', 503,
       true, now() + interval '70 seconds', '${error503}');
    insert into webhook_endpoints (id, url, slots, slow, paused_at, paused_reason, last_success_at, last_status) values
      (${id(hosts.paused)}, '${hosts.paused}', 16, false, now() - interval '5 hours', 'moves to the new board on Friday',
       now() - interval '5 hours', 200);
    insert into webhook_endpoints (id, url, slots, slow, failures, failing_since, last_success_at, last_failure_at, last_error) values
      (${id(hosts.flaky)}, '${hosts.flaky}', 16, false, 3, now() - interval '8 seconds', now() - interval '10 seconds',
       now() - interval '2 seconds', 'no answer within 10 s');
    insert into agents (id, agent_type, status, last_heartbeat) values
      ('agent-builder-7', 'builder', 'busy', now() - interval '12 minutes'),
      ('agent-review-2', 'reviewer', 'busy', now() - interval '20 seconds'), ('agent-idle-1', 'builder', 'idle', now());
    insert into agent_stuck_episodes (agent_id, reason, started_at) values
      ('agent-builder-7', 'no_heartbeat', now() - interval '10 minutes'),
      ('agent-review-2', 'repeats the same tool call', now() - interval '3 minutes');
    insert into agent_stuck_episodes (agent_id, reason, started_at, ended_at) values
      ('agent-builder-7', 'no_heartbeat', now() - interval '9 hours', now() - interval '8 hours 40 minutes');`)
  // After their episodes, so that these tell nobody.
  await db.query(`
    insert into tasks (id, ticket_id, title, status, assigned_agent_id)
      select 'task-' || n, 'ticket-7', 'Task ' || n, 'running', case when n < 903 then 'agent-builder-7' else 'agent-review-2' end
      from generate_series(901, 903) n;
    insert into webhook_audit (at, actor, action, target, detail) values
      (now() - interval '2 days', 'ops', 'endpoint.patch', 'endpoints/' || ${id(hosts.down)}, '{"timeout": "5s"}'),
      (now() - interval '5 hours', 'kim', 'endpoint.pause', 'endpoints/' || ${id(hosts.paused)},
       '{"reason": "moves to the new board on Friday"}'),
      (now() - interval '12 minutes', 'ops', 'endpoint.test', 'endpoints/' || ${id(hosts.down)}, '{}')`)
  await settle(db, settled)
  await owe(db, owed)
  await db.query(`
    insert into webhook_operations (kind, filter, matched, rate, requested_by, state, done, skipped, skipped_reasons, created_at, started_at)
    values ('replay', '{"state": "dead", "project_id": "project-2"}', 1200, 50, 'ops', 'running', 430, 12, '{"no_url": 12}',
      now() - interval '9 seconds', now() - interval '8 seconds');
    insert into webhook_audit (at, actor, action, target, detail)
      select created_at, requested_by, 'replays.start', 'operations/' || id, jsonb_build_object('filter', filter, 'rate', rate)
      from webhook_operations`)
}

/** Over five days; more of them lately, as an installation grows. */
async function settle(db: TestDatabase, count: number): Promise<void> {
  await db.query('select webhook_create_partitions(1)')
  await db.query(`
    do $$ declare parent text; day date; begin
      foreach parent in array array['webhook_history_delivered', 'webhook_history_dead'] loop
        for day in select current_date - i from generate_series(1, 6) i loop
          execute format('create table if not exists %I partition of %I for values from (%L) to (%L)',
            parent || to_char(day, '_YYYYMMDD'), parent, day::timestamptz, (day + 1)::timestamptz);
        end loop;
      end loop;
    end $$`)
  await db.query(
    `insert into webhook_history (event_id, event_type, entity_type, entity_id, task_id, ticket_id, project_id, url, payload,
       outcome, attempts, last_status, last_error, recoverable, created_at, settled_at)
     select gen_random_uuid(), case when n % 9 = 0 then 'task.failed' else 'task.completed' end, 'task', 'task-' || n, 'task-' || n,
       'ticket-' || 1 + n % 50, 'project-' || 1 + n % 5, case when dead then '${hosts.down}' else '${hosts.steady}' end,
       json_build_object('event_type', 'task.completed', 'entity_id', 'task-' || n, 'data', json_build_object('result', 'success',
         'duration_seconds', n % 300, 'output_summary', repeat('Built the feature and ran its tests. ', 6))),
       case when dead then 'dead' else 'delivered' end, case when dead then 4 else 1 end, case when dead then 503 else 200 end,
       case when dead then '${error503}' end, dead,
       at, least(at + (case when dead then 7500 else 4 + 40 * random() ^ 8 * (1 + n % 3) * 20 end) * interval '1 ms', now())
     from generate_series(1, $1::integer) n,
       lateral (select now() - interval '5 days' * (1 - (n::float8 / $1) ^ 0.35) - interval '1 s' as at) t,
       lateral (select n % 40 = 0 and at between now() - interval '44 minutes' and now() - interval '8 seconds' as dead) d
     order by at`,
    [count],
  )
  await db.query(`
    insert into webhook_attempts (event_id, attempt, started_at, duration_ms, status, error, response)
    select h.event_id, n, h.created_at + (2 ^ (n - 1) - 1) * interval '1 s', 12 + n, h.last_status,
      case when h.outcome = 'dead' then h.last_error end,
      case when h.outcome = 'dead' then '{"error": "upstream connect error or disconnect/reset before headers"}' else 'ok' end
    from (select * from webhook_history order by created_at desc limit 2000) h, generate_series(1, h.attempts) n`)
}

async function owe(db: TestDatabase, count: number): Promise<void> {
  await db.query(
    `insert into webhook_outbox (event_type, entity_type, entity_id, task_id, ticket_id, project_id, url, payload, attempts,
       last_status, last_error, created_at, next_attempt_at)
     select 'task.completed', 'task', 'task-o' || n, 'task-o' || n, 'ticket-' || 1 + n % 50, 'project-' || 1 + n % 5,
       case n % 20 when 0 then '${hosts.paused}' when 1 then '${hosts.flaky}' else '${hosts.down}' end,
       json_build_object('event_type', 'task.completed', 'entity_id', 'task-o' || n), case when n < 5 then 1 else 0 end,
       case when n < 5 then 503 end, case when n < 5 then '${error503}' end, at, at
     from generate_series(1, $1::integer) n, lateral (select now() - interval '42 minutes' * n / $1 as at) t`,
    [count],
  )
  await db.query(
    `insert into webhook_attempts (event_id, attempt, started_at, duration_ms, status, error, response)
     select event_id, 1, created_at, 31, 503, '${error503}', 'upstream connect error' from webhook_outbox where attempts = 1`,
  )
  await db.query('analyze')
}
