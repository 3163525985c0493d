import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createPool } from '../../src/database/connection.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase } from '../support/database.ts'

const db = await createTestDatabase()
onCleanup({ after }, () => db.drop())

test('a connection that is lost while it is checked out, between two statements, does not end the process', async (t) => {
  const pool = createPool(db.url, { maxConnections: 1 })
  onCleanup(t, () => pool.end())
  const client = await pool.connect()
  const lost = new Promise<void>((resolve) => client.once('end', () => resolve()))
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  await db.query('select pg_terminate_backend($1)', [rows[0]!.pid])
  // The error comes first; without a listener it would be thrown into this process.
  await lost
  await assert.rejects(client.query('select 1'))
  client.release(true)
  assert.equal((await pool.query('select 1 as one')).rowCount, 1)
})
