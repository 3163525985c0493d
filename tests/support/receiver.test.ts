import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { request } from 'undici'
import { onCleanup } from './cleanup.ts'
import { createReceiver, type Answer, type Answerer } from './receiver.ts'

async function start(t: TestContext, answer?: Answer | Answerer) {
  const receiver = await createReceiver(answer === undefined ? {} : { answer })
  onCleanup(t, () => receiver.close())
  return receiver
}

function post(url: string, body: string) {
  return request(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
}

test('a receiver records what it got, byte for byte', async (t) => {
  const receiver = await start(t)
  const text = '{ "event_type":"task.completed" }'
  const answer = await post(receiver.url('/hook?a=1'), text)
  assert.equal(answer.statusCode, 200)
  const [got] = await receiver.waitFor(1)
  assert.equal(got?.path, '/hook?a=1')
  assert.equal(got?.rawBody.toString(), text)
  assert.equal(got?.body.event_type, 'task.completed')
})

test('a receiver waits for a request that has not come yet', async (t) => {
  const receiver = await start(t)
  const waiting = receiver.waitFor((got) => got.path === '/second')
  await post(receiver.url('/first'), '{}')
  await post(receiver.url('/second'), '{}')
  assert.equal((await waiting).path, '/second')
})

test('a wait that fails lists what did arrive', async (t) => {
  const receiver = await start(t)
  await post(receiver.url('/first'), '{}')
  const waiting = receiver.waitFor(2, { timeoutMs: 20, description: 'both events' })
  await assert.rejects(waiting, /did not get both events within 20 ms; it got 1:\n.* POST \/first .* \{\}/)
})

test('a receiver answers by the number of the request, resets, and is closed while it hangs', async (t) => {
  const receiver = await start(t, (_, n) => (n === 1 ? { status: 503, delayMs: 5 } : 'reset'))
  assert.equal((await post(receiver.url(), '{}')).statusCode, 503)
  await assert.rejects(post(receiver.url(), '{}'), { code: 'ECONNRESET' })
  receiver.setAnswer('hang')
  const hanging = assert.rejects(post(receiver.url(), '{}'))
  await receiver.waitFor(3)
  await receiver.close()
  await hanging
})
