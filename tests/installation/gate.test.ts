import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { kyselyOver } from '../../src/database/connection.ts'
import { createInstallationGate } from '../../src/installation/gate.ts'
import { howToConfirm } from '../../src/installation/installation.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase } from '../support/database.ts'
import { captureLog } from '../support/dispatcher.ts'

const owner = { after }
const db = await createTestDatabase()
onCleanup(owner, () => db.drop())

function gate(name?: string) {
  const { log, lines } = captureLog()
  return { ...createInstallationGate({ db: kyselyOver(db.pool), log, name }), lines }
}
const confirm = (name: string | null) => db.query('select webhook_confirm_installation($1)', [name])
const stored = async () =>
  (await db.query<{ name: string }>('select name from webhook_installation'))[0]?.name

test('it is shut before its first look, and stores its name there where none is', async () => {
  await confirm(null)
  const nameless = gate()
  await nameless.loop.runOnce()
  assert.equal(nameless.maySend(), true, 'no name is stored, and none is given')
  assert.equal(await stored(), undefined)
  const first = gate('first')
  assert.equal(first.maySend(), false)
  await first.loop.runOnce()
  assert.equal(first.maySend(), true)
  assert.equal(await stored(), 'first')
  const second = gate('second')
  await second.loop.runOnce()
  assert.equal(second.maySend(), false)
  assert.equal(await stored(), 'first')
  await nameless.loop.runOnce()
  assert.equal(nameless.maySend(), false)
})

test('each turn is logged once, as an error that says what to do, and as news', async () => {
  await confirm('other')
  const one = gate('mine')
  for (let n = 0; n < 3; n++) await one.loop.runOnce()
  await confirm('mine')
  for (let n = 0; n < 3; n++) await one.loop.runOnce()
  await confirm('other')
  for (let n = 0; n < 3; n++) await one.loop.runOnce()
  assert.deepEqual(
    one.lines.map(({ level, stored, running }) => ({ level, stored, running })),
    [
      { level: 50, stored: 'other', running: 'mine' },
      { level: 30, stored: 'mine', running: 'mine' },
      { level: 50, stored: 'other', running: 'mine' },
    ],
  )
})

test('a name that is forgotten is not stored again by a service that runs', async () => {
  await confirm('mine')
  const one = gate('mine')
  await one.loop.runOnce()
  await confirm(null)
  await one.loop.runOnce()
  assert.equal(one.maySend(), true)
  assert.equal(await stored(), undefined)
})

test('a name of nothing, or of more than 200 characters, is refused by the database', async () => {
  for (const name of ['', 'x'.repeat(201)]) {
    await assert.rejects(confirm(name), { code: '23514' })
  }
})

test('what to do can be copied whatever the names hold', () => {
  const text = howToConfirm({ stored: `it's`, storedAt: null, running: `a'b c` })
  assert.ok(text.includes(`confirm-installation 'a'\\''b c'`), text)
  assert.ok(text.includes(`webhook_confirm_installation('a''b c')`), text)
  assert.ok(text.includes(`INSTALLATION='it'\\''s'`), text)
})
