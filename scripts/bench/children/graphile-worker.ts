/**
 * graphile-worker on DATABASE_URL, with a task `deliver` that POSTs by PEER_SEND. Answers any message when it runs.
 *
 * PEER_MODE `batched` is its fastest configuration: a local queue, completions in batches, and no line of log a job.
 * `plain` is what its documentation begins with: a fetch and a completion a job.
 */
import { run } from 'graphile-worker'
import { createPost, type PeerJob, type SendKind } from './post.ts'

/** As many jobs under way as the service has deliveries. */
const CONCURRENCY = 256

const batched = process.env['PEER_MODE'] === 'batched'
const post = createPost(process.env['PEER_SEND'] as SendKind)

const started = run({
  noHandleSignals: true,
  preset: {
    worker: {
      connectionString: process.env['DATABASE_URL']!,
      concurrentJobs: batched ? CONCURRENCY : 24,
      maxPoolSize: 25,
      ...(batched
        ? { localQueue: { size: 2 * CONCURRENCY }, completeJobBatchDelay: 0, failJobBatchDelay: 0 }
        : {}),
    },
  },
  taskList: { deliver: (payload, { job }) => post(payload as PeerJob, job.attempts) },
})

process.on('message', () => void started.then(() => process.send?.('runs')))
process.on('SIGTERM', () => {
  void started.then((runner) => runner.stop()).then(() => process.exit(0))
})
process.on('disconnect', () => process.exit(0))
