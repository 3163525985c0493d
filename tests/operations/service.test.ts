import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase } from '../support/database.ts'
import { receiver } from '../support/endpoints.ts'
import { eventually } from '../support/eventually.ts'
import { putEvent, putTicket } from '../support/events.ts'
import { startServiceProcess } from '../support/service-process.ts'

const database = await createTestDatabase()
onCleanup({ after }, () => database.drop())

test('a bulk replay is carried out by the service, and a test event goes out by its address policy', async (t) => {
  const hooks = await receiver(t)
  const ticket = await putTicket(database, { url: hooks.url('/bulk') })
  const ids = await Promise.all(Array.from({ length: 20 }, () => putEvent(database, ticket)))
  const service = startServiceProcess({ DATABASE_URL: database.url, ADDRESS_POLICY: 'loopback' })
  onCleanup(t, () => service.stop())
  const api = `${await service.url()}/api/v1`
  const post = async (path: string, body: unknown) => {
    const answer = await fetch(`${api}/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
  }
  const { status, body } = await post('replays', { state: 'dead', dry_run: false, rate: 100 })
  assert.equal(status, 202, JSON.stringify(body))
  const requests = await hooks.waitFor(ids.length)
  assert.deepEqual(requests.map(({ headers }) => String(headers['webhook-id'])).sort(), ids.toSorted())
  const { id } = body['operation'] as { id: string }
  await eventually(async () => {
    const operation = (await (await fetch(`${api}/operations/${id}`)).json()) as Record<string, unknown>
    assert.deepEqual([operation['state'], operation['done']], ['done', ids.length])
  })

  const list = (await (await fetch(`${api}/endpoints`)).json()) as { items: { id: string }[] }
  const tested = await post(`endpoints/${list.items[0]!.id}/test`, {})
  assert.equal(tested.body['delivered'], true, JSON.stringify(tested.body))
  assert.equal(hooks.requests.at(-1)!.body.event_type, 'webhook.test')
  assert.equal(await service.stop(), 0)
})
