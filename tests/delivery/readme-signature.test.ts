import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, test, type TestContext } from 'node:test'
import { fingerprintOf, newSecret } from '../../src/delivery/signature.ts'
import { createTestApi } from '../api/support.ts'
import { onCleanup } from '../support/cleanup.ts'
import { dispatcher } from '../support/endpoints.ts'
import { eventually } from '../support/eventually.ts'
import { complete, eventsOf, runningTasks } from '../support/tasks.ts'

const root = join(import.meta.dirname, '../..')
const owner = { after }
const api = await createTestApi(owner)
const running = dispatcher(owner, api.database, { retrySchedule: [] })
running.dispatcher.start()

/** The receiver of the README, word for word; the test only asks it for its port. */
function receiverOfReadme(): string {
  const blocks = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/^```js\n(.*?)^```$/gms)]
  const code = blocks.map(([, text]) => text!).filter((text) => text.includes(`from 'standardwebhooks'`))
  assert.equal(code.length, 1, 'the README has one receiver that verifies')
  return `${code[0]}\nserver.on('listening', () => console.log('port', server.address().port))\n`
}

interface Started {
  child: ChildProcess
  url: string
  lines: string[]
}

async function start(t: TestContext, secret: string): Promise<Started> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', receiverOfReadme()], {
    cwd: root,
    env: { PATH: process.env['PATH'], PORT: '0', WEBHOOK_SECRET: secret },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  onCleanup(t, async () => {
    child.kill()
    await closed
  })
  const lines: string[] = []
  const port = Promise.withResolvers<string>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    if (line.startsWith('port ')) port.resolve(line.slice(5))
  })
  void closed.then(() => port.reject(new Error('the receiver of the README ended')))
  return { child, lines, url: `http://127.0.0.1:${await port.promise}/hook` }
}

/** A task that completes; resolves to the state and the last status of its event once it is settled. */
async function deliver(url: string): Promise<{ id: string; state: string; status: number | null }> {
  const [id] = await runningTasks(api.database, url)
  await complete(api.database, [id!])
  const row = await eventually(async () => {
    const [event] = await eventsOf(api.database, [id!])
    assert.ok(event?.state === 'delivered' || event?.state === 'dead', event?.state)
    return event
  })
  return { id: id!, state: row.state, status: row.last_status }
}

const endpointId = async (url: string) =>
  (await api.database.query<{ id: string }>('select md5($1)::uuid as id', [url]))[0]!.id

test("the README's receiver takes what is signed with its secret, while secrets rotate too, and nothing else", async (t) => {
  const secret = newSecret()
  const { url, lines } = await start(t, secret)
  assert.deepEqual((await deliver(url)).status, 401, 'not signed')

  const path = `/api/v1/endpoints/${await endpointId(url)}/secrets`
  const [other, newer] = [newSecret(), newSecret()]
  assert.equal((await api.call('POST', path, { secret: other })).status, 201)
  assert.equal((await deliver(url)).status, 401, 'signed with another secret')
  assert.equal((await api.call('POST', path, { secret })).status, 201)
  const both = await deliver(url)
  assert.equal(both.state, 'delivered', 'both sign')
  assert.equal((await api.call('DELETE', `${path}/${fingerprintOf(other)}`)).status, 204)
  const alone = await deliver(url)
  assert.equal(alone.state, 'delivered')
  assert.equal((await api.call('POST', path, { secret: newer })).status, 201)
  assert.equal((await api.call('DELETE', `${path}/${fingerprintOf(secret)}`)).status, 204)
  assert.equal((await deliver(url)).status, 401, 'its secret signs no more')
  for (const { id } of [both, alone]) assert.ok(lines.includes(`task.completed ${id}`), lines.join('\n'))
  assert.equal(lines.filter((line) => line.startsWith('task.completed')).length, 2)
})

test("the README's receiver refuses a body that was changed on its way, and an old timestamp", async (t) => {
  const { url } = await start(t, newSecret())
  const headers = { 'webhook-id': 'a', 'webhook-timestamp': '1700000000', 'webhook-signature': 'v1,AAAA' }
  for (const body of ['{}', '']) {
    const answer = await fetch(url, { method: 'POST', headers, body })
    assert.equal(answer.status, 401)
    await answer.body?.cancel()
  }
})
