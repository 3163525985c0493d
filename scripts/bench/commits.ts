import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { wallMs } from './clock.ts'
import { seededRandom } from './statistics.ts'
import { completeTasks } from './tasks.ts'

/** When one task's COMMIT was sent, and when its answer came. */
export interface Commit {
  taskId: string
  sentAt: number
  answeredAt: number
}

/** What a transaction does besides the update of its task. */
export interface Writing {
  /** A statement after the update, given the task's id as $1. */
  besides?: string
  /** How long it stays open after that. */
  holdMs?: number
}

const WRITERS = 8
/** The application_name of the connections of `completeAtRate`. */
export const writerName = 'bench writer'

/** Completes one task in a transaction of its own. */
export async function complete(
  writer: pg.ClientBase,
  taskId: string,
  { besides, holdMs }: Writing = {},
): Promise<Commit> {
  await writer.query('begin')
  await writer.query(`${completeTasks} id = $1`, [taskId])
  if (besides !== undefined) await writer.query(besides, [taskId])
  if (holdMs !== undefined) await sleep(holdMs)
  const sentAt = wallMs()
  await writer.query('commit')
  return { taskId, sentAt, answeredAt: wallMs() }
}

/** Completes the tasks at `rate` a second, Poisson arrivals: they do not wait for each other, whatever the service does. */
export async function completeAtRate(
  url: string,
  taskIds: string[],
  rate: number,
  writing: Writing = {},
): Promise<Commit[]> {
  const size = { max: WRITERS, min: WRITERS, idleTimeoutMillis: 0 }
  const writers = new pg.Pool({ connectionString: url, application_name: writerName, ...size })
  const random = seededRandom(2)
  const commits: Promise<Commit>[] = []
  let due = performance.now()
  for (const taskId of taskIds) {
    due += (-Math.log(1 - random()) * 1_000) / rate
    const early = due - performance.now()
    if (early >= 1) await sleep(early)
    commits.push(completeBy(writers, taskId, writing))
  }
  const done = await Promise.all(commits)
  await writers.end()
  return done
}

async function completeBy(writers: pg.Pool, taskId: string, writing: Writing): Promise<Commit> {
  const writer = await writers.connect()
  try {
    return await complete(writer, taskId, writing)
  } finally {
    writer.release()
  }
}

/**
 * Milliseconds to receipt of each commit, from when it was sent and from its answer.
 * @throws where an event arrived before its COMMIT was sent
 */
export function commitToReceipt(
  commits: Commit[],
  received: { taskId: string; receivedAt: number }[],
): { fromSent: number[]; fromAnswer: number[] } {
  const receivedAt = new Map(received.map((event) => [event.taskId, event.receivedAt]))
  const fromSent = commits.map((commit) => receivedAt.get(commit.taskId)! - commit.sentAt)
  if (Math.min(...fromSent) < 0) throw new Error('wrong result: an event arrived before its COMMIT was sent')
  return { fromSent, fromAnswer: commits.map((commit) => receivedAt.get(commit.taskId)! - commit.answeredAt) }
}
