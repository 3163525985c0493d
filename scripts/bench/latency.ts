import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { CaseContext } from './case.ts'
import type { Child } from './child.ts'
import { type Commit, commitToReceipt, complete, completeAtRate, type Writing } from './commits.ts'
import { startGraphileWorker } from './peers.ts'
import { type Receiver, startDispatcher, until, untilSettled } from './service.ts'
import { connect } from './stage.ts'
import { seededRandom } from './statistics.ts'
import { deliveredOnce, seedTasks } from './tasks.ts'

/** A database with a worker that sends what its commits cause to the receiver. */
export interface Scene {
  url: string
  db: pg.Client
  worker: Child
  writing: Writing
  /** Waits until all of a ticket's events are done; who received them when, by task. */
  finish(ticket: string, count: number): Promise<{ taskId: string; receivedAt: number }[]>
}

const TIMEOUT_MS = 60_000
const WARM_UP = 50

/** Completes the tasks of one round at its own pace. */
export type Pace = (scene: Scene, taskIds: string[]) => Promise<Commit[]>

/** An event about every 200 ms, so that whoever sends has gone to sleep before each. */
export const idlePace: Pace = async ({ url, writing }, taskIds) => {
  const writer = await connect(url)
  const random = seededRandom(1)
  const commits: Commit[] = []
  for (const taskId of taskIds) {
    await sleep(150 + random() * 100)
    commits.push(await complete(writer, taskId, writing))
  }
  await writer.end()
  return commits
}

/** Arrivals do not wait for each other, whatever the service does. */
export function ratePace(rate: number): Pace {
  return ({ url, writing }, taskIds) => completeAtRate(url, taskIds, rate, writing)
}

/** The service: the capture of the update is all. */
export async function serviceScene(
  context: CaseContext,
  receiver: Receiver,
  writing: Writing,
): Promise<Scene> {
  const url = await context.stage.createDatabase('latency_service')
  const db = await connect(url)
  const worker = await startDispatcher(context, url, db)
  const finish = async (ticket: string, count: number) => {
    await untilSettled(worker, db, TIMEOUT_MS)
    return deliveredOnce(db, ticket, count, await receiver.take())
  }
  return { url, db, worker, writing, finish }
}

/** The URL is looked up and the job added in the transaction of the update: an outbox by hand. */
const addJob = `
  select graphile_worker.add_job('deliver', json_build_object(
    'url', coalesce(nullif(k.webhook_url, ''), nullif(p.webhook_url, '')), 'eventId', t.id, 'body', json_build_object(
      'event_type', 'task.completed', 'timestamp', clock_timestamp(), 'entity_type', 'task', 'entity_id', t.id,
      'project_id', k.project_id, 'ticket_id', k.id, 'task_id', t.id, 'agent_id', t.assigned_agent_id,
      'data', json_build_object('result', t.result ->> 'result',
        'duration_seconds', extract(epoch from t.completed_at - t.started_at)::integer,
        'output_summary', t.result ->> 'output_summary'))))
  from tasks t join tickets k on k.id = t.ticket_id left join projects p on p.id = k.project_id
  where t.id = $1`

export async function graphileScene(
  context: CaseContext,
  receiver: Receiver,
  writing: Writing,
  mode: 'batched' | 'plain',
): Promise<Scene> {
  const url = await context.stage.createDatabase(`latency_${mode}`)
  const db = await connect(url)
  await db.query('alter table tasks disable trigger webhook_capture_task')
  const worker = await startGraphileWorker(context, url, mode, 'own')
  const finish = async (ticket: string, count: number) => {
    await until(worker, TIMEOUT_MS, `${count} arrived`, async () => (await receiver.count()) >= count)
    const receipts = await receiver.take()
    if (receipts.length !== count || new Set(receipts.map(([id]) => id)).size !== count)
      throw new Error(`wrong result: ${receipts.length} receipts of ${count} jobs of ${ticket}`)
    return receipts.map(([taskId, receivedAt]) => ({ taskId, receivedAt }))
  }
  return { url, db, worker, writing: { ...writing, besides: addJob }, finish }
}

/** One round: milliseconds from the COMMIT's answer, and from when it was sent, to the receipt. */
export async function measureLatency(
  scene: Scene,
  receiver: Receiver,
  round: { name: string; count: number; pace: Pace },
): Promise<{ fromSent: number[]; fromAnswer: number[] }> {
  const warmUp = `${round.name}-warm-up`
  await seedTasks(scene.db, warmUp, receiver.url, WARM_UP)
  await seedTasks(scene.db, round.name, receiver.url, round.count)
  for (const taskId of idsOf(warmUp, WARM_UP)) await complete(scene.db, taskId, scene.writing)
  await scene.finish(warmUp, WARM_UP)
  const commits = await round.pace(scene, idsOf(round.name, round.count))
  return commitToReceipt(commits, await scene.finish(round.name, round.count))
}

function idsOf(ticket: string, count: number): string[] {
  return Array.from({ length: count }, (_, n) => `${ticket}/${n + 1}`)
}
