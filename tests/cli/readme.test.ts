import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase } from '../support/database.ts'
import { complete, eventsOf, runningTasks } from '../support/tasks.ts'

const db = await createTestDatabase()
onCleanup({ after }, () => db.drop())

test('the SQL of the README has the events written that a disabled trigger missed, and no others', async () => {
  const readme = await readFile(join(import.meta.dirname, '../../README.md'), 'utf8')
  const [, sql] = /```sql\n(begin;\n[^`]*commit;\n)```/.exec(readme) ?? []
  assert.ok(sql !== undefined, 'the README has a block of SQL')

  const seen = await runningTasks(db, 'http://127.0.0.1:9/')
  await complete(db, seen)
  const running = await runningTasks(db, 'http://127.0.0.1:9/')
  const missed = await runningTasks(db, 'http://127.0.0.1:9/', 3)
  await db.query('alter table tasks disable trigger webhook_capture_task')
  await complete(db, missed.slice(0, 2))
  await db.query(`update tasks set status = 'failed', completed_at = now() where id = $1`, [missed[2]])
  await db.query('alter table tasks enable trigger webhook_capture_task')
  assert.deepEqual(await eventsOf(db, missed), [])

  await db.query(sql)
  const events = await db.query<{ task_id: string; event_type: string }>(
    'select task_id, event_type from webhook_events order by task_id',
  )
  const wanted = [
    ...[...seen, ...missed.slice(0, 2)].map((task_id) => ({ task_id, event_type: 'task.completed' })),
    { task_id: missed[2]!, event_type: 'task.failed' },
  ]
  assert.deepEqual(
    events,
    wanted.sort((a, b) => (a.task_id < b.task_id ? -1 : 1)),
  )
  const rows = await db.query<{ status: string }>('select status from tasks where id = any($1)', [running])
  assert.deepEqual(rows, [{ status: 'running' }])
})
