/**
 * pg-boss on DATABASE_URL, in batches: a worker fetches as many jobs as it may at a time, without a pause while a batch is
 * full, POSTs them together by PEER_SEND, and completes the batch.
 */
import { PgBoss } from 'pg-boss'
import { wallMs } from '../clock.ts'
import { createPost, type PeerJob, type SendKind } from './post.ts'

/** - `insert`: queues the jobs, which wait; `work`: begins, and answers with when; `rest`: ends the workers */
export type PgBossOrder = { insert: PeerJob[] } | 'work' | 'rest'

const QUEUE = 'deliver'
/** Four batches of 64: as many under way as the service has deliveries. */
const WORKERS = 4
const BATCH = 64

const post = createPost(process.env['PEER_SEND'] as SendKind)
const boss = new PgBoss({
  connectionString: process.env['DATABASE_URL']!,
  max: 10,
  useListenNotify: true,
  schedule: false,
})
boss.on('error', (error) => process.stderr.write(`${error.message}\n`))
const started = boss.start().then(() => boss.createQueue(QUEUE, { notify: true }))

async function obey(order: PgBossOrder): Promise<unknown> {
  await started
  if (order === 'rest') return boss.offWork(QUEUE, { wait: true }).then(() => 'done')
  if (order !== 'work') {
    await boss.insert(
      QUEUE,
      order.insert.map((data) => ({ data })),
    )
    return 'done'
  }
  const beganAt = wallMs()
  await boss.work<PeerJob>(
    QUEUE,
    { batchSize: BATCH, localConcurrency: WORKERS, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 },
    async (jobs) => {
      await Promise.all(jobs.map(({ data }) => post(data, 1)))
    },
  )
  return beganAt
}

process.on('message', (order: PgBossOrder) => void obey(order).then((answer) => process.send?.(answer)))
process.on('SIGTERM', () => void boss.stop({ graceful: false }).then(() => process.exit(0)))
process.on('disconnect', () => process.exit(0))
