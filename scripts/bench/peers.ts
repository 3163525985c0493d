import type pg from 'pg'
import type { CaseContext } from './case.ts'
import { startChild, type Child } from './child.ts'
import type { PgBossOrder } from './children/pg-boss.ts'
import type { PeerJob, SendKind } from './children/post.ts'

/** A start installs the peer's schema. */
const START_MS = 60_000

/** graphile-worker in a process of its own, running; see children/graphile-worker.ts. */
export async function startGraphileWorker(
  { stage }: CaseContext,
  databaseUrl: string,
  mode: 'batched' | 'plain',
  send: SendKind,
): Promise<Child> {
  const child = await startChild('scripts/bench/children/graphile-worker.ts', {
    guard: stage.guard,
    env: {
      DATABASE_URL: databaseUrl,
      PEER_MODE: mode,
      PEER_SEND: send,
      ...(mode === 'batched' ? { NO_LOG_SUCCESS: '1' } : {}),
    },
  })
  await child.ask('are you there', START_MS)
  return child
}

/** pg-boss in a process of its own, with its queue and without workers; see children/pg-boss.ts. */
export async function startPgBoss(
  { stage }: CaseContext,
  databaseUrl: string,
  send: SendKind,
): Promise<Child> {
  const child = await startChild('scripts/bench/children/pg-boss.ts', {
    guard: stage.guard,
    env: { DATABASE_URL: databaseUrl, PEER_SEND: send },
  })
  await child.ask<unknown>({ insert: [] } satisfies PgBossOrder, START_MS)
  return child
}

/** Queues `count` jobs for graphile-worker in the transaction that is open. */
export async function addJobs(
  db: pg.Client,
  jobs: { url: string; count: number; body: string },
): Promise<void> {
  await db.query(
    `select count(*) from graphile_worker.add_jobs((
       select array_agg(row('deliver', json_build_object('url', $1::text, 'eventId', gen_random_uuid(), 'body', $3::json),
         null, null, null, null, null, null)::graphile_worker.job_spec)
       from generate_series(1, $2::integer)))`,
    [jobs.url, jobs.count, jobs.body],
  )
}

/** An event as capture writes it. */
export const exampleBody = `{"event_type":"task.completed","timestamp":"2026-01-31T14:30:00.123Z","entity_type":"task",\
"entity_id":"backlog-00000001","project_id":"backlog","ticket_id":"backlog","task_id":"backlog-00000001","agent_id":null,\
"data":{"result":"success","duration_seconds":45,"output_summary":"Implemented feature X"}}`

export function jobsFor(url: string, count: number): PeerJob[] {
  const body = JSON.parse(exampleBody) as unknown
  return Array.from({ length: count }, () => ({ url, eventId: crypto.randomUUID(), body }))
}
