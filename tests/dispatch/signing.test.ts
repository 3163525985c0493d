import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { newSecret } from '../../src/delivery/signature.ts'
import { forgetIdleEndpoints } from '../../src/dispatch/partitions.ts'
import { kyselyOver } from '../../src/database/connection.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { claimDue, clear, dispatcher, endpoint, owe, receiver } from '../support/endpoints.ts'

const url = 'http://receiver.example/hook'
const [own, ofProject] = [newSecret(), newSecret()]
let db: TestDatabase

before(async () => {
  db = await createTestDatabase()
})
after(() => db.drop())
beforeEach(async () => {
  await clear(db)
  await db.query('truncate webhook_project_secrets')
})

const secretsOfProject = (project: string, ...secrets: string[]) =>
  db.query('insert into webhook_project_secrets values ($1, $2)', [project, secrets])
const secretsOfEndpoint = (...secrets: string[]) =>
  db.query('update webhook_endpoints set secrets = $1', [secrets])

for (const [what, endpointHas, projectHas, expected] of [
  ['neither has any', [], [], null],
  ['the project has one', [], [ofProject], [ofProject]],
  ['the project has two', [], [ofProject, own], [ofProject, own]],
  ['the endpoint has one', [own], [], [own]],
  ['both have some: the own ones win', [own], [ofProject], [own]],
] as const) {
  test(`what is claimed carries its secrets: ${what}`, async () => {
    await endpoint(db, url)
    if (endpointHas.length > 0) await secretsOfEndpoint(...endpointHas)
    if (projectHas.length > 0) await secretsOfProject('p', ...projectHas)
    await secretsOfProject('another', newSecret())
    await owe(db, url, 2, { project_id: `'p'` })
    for (const { settings } of await claimDue(db)) {
      assert.deepEqual(settings?.secrets ?? null, expected)
      if (expected === null) assert.equal(settings, null)
    }
  })
}

test('the secrets of a project stand beside the limits of the endpoint, and only for events of that project', async () => {
  await endpoint(db, url, { timeout: `'3 s'`, headers: `'{"x-a": "b"}'` })
  await secretsOfProject('p', ofProject)
  await owe(db, url, 1, { project_id: `'p'` })
  await owe(db, url, 1, { project_id: `'q'` })
  await owe(db, url)
  const settings = (await claimDue(db)).map((one) => one.settings)
  assert.equal(settings.length, 3)
  assert.deepEqual(
    settings.flatMap((one) => (one?.secrets ? [one.secrets] : [])),
    [[ofProject]],
  )
  for (const one of settings) {
    assert.equal(one?.timeout_ms, 3_000)
    assert.deepEqual(one.headers, { 'x-a': 'b' })
  }
})

test('each attempt is signed with its own timestamp, and no log line holds a secret', async (t) => {
  const hooks = await receiver(t, (_, n) => ({ status: n === 1 ? 503 : 200 }))
  await secretsOfProject('p', own, ofProject)
  await owe(db, hooks.url(), 1, { project_id: `'p'` })
  const running = dispatcher(t, db, { retrySchedule: [1_100] })
  running.dispatcher.start()
  const requests = await hooks.waitFor(2)
  for (const { headers, rawBody } of requests) {
    for (const secret of [own, ofProject]) {
      new Webhook(secret).verify(rawBody, headers as Record<string, string>)
    }
  }
  const [first, second] = requests.map(({ headers }) => headers)
  assert.equal(first!['webhook-id'], second!['webhook-id'])
  assert.notEqual(first!['webhook-timestamp'], second!['webhook-timestamp'])
  assert.notEqual(first!['webhook-signature'], second!['webhook-signature'])
  await running.stop()
  for (const secret of [own, ofProject]) assert.ok(!JSON.stringify(running.lines).includes(secret.slice(6)))
})

test('an endpoint that has secrets is not forgotten for being idle', async () => {
  await endpoint(db, url, { used_at: `now() - interval '1 year'` })
  await secretsOfEndpoint(own)
  await forgetIdleEndpoints(kyselyOver(db.pool), 1_000)
  assert.equal((await db.query('select from webhook_endpoints')).length, 1)
})
