import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { createTestDatabase, databaseUrlWith } from './database.ts'

test('a test database is a clone of the migrated template', async () => {
  const database = await createTestDatabase()
  const [row] = await database.query<{ table: string }>(`select to_regclass('webhook_outbox')::text as table`)
  assert.equal(row?.table, 'webhook_outbox')
  await database.drop()
})

test('a test database without migrations is empty', async () => {
  const database = await createTestDatabase({ migrated: false })
  assert.deepEqual(
    await database.query(`select from pg_class where relnamespace = 'public'::regnamespace`),
    [],
  )
  await database.drop()
})

test('a client that is left checked out fails the drop, and the database is gone all the same', async () => {
  const database = await createTestDatabase({ migrated: false })
  await database.pool.connect()
  await assert.rejects(database.drop(), /1 client\(s\) of the test database's pool were checked out/)
  await assert.rejects(connect(database.url), { code: '3D000' })
})

test("a connection of somebody else's that is left open fails the drop, and is named", async () => {
  const database = await createTestDatabase({ migrated: false })
  const client = await connect(`${database.url}?application_name=forgotten`)
  await client.query('select 42')
  await assert.rejects(database.drop(), /still open:\nforgotten \(idle\): select 42/)
  await client.end().catch(() => undefined)
})

test('the URL of another role and database keeps the server, and escapes what needs it', () => {
  const change = { user: 'a writer', password: 'p@ss/word', database: 'other' }
  assert.equal(
    databaseUrlWith('postgres://postgres:secret@127.0.0.1:5432/first', change),
    'postgres://a%20writer:p%40ss%2Fword@127.0.0.1:5432/other',
  )
})

async function connect(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString })
  client.on('error', () => undefined)
  await client.connect()
  return client
}
