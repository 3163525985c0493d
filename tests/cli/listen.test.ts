import assert from 'node:assert/strict'
import { type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { after, test, type TestContext } from 'node:test'
import { newSecret } from '../../src/delivery/signature.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase } from '../support/database.ts'
import { dispatcher } from '../support/endpoints.ts'
import { complete, runningTasks } from '../support/tasks.ts'
import { runCli, startCli } from './support.ts'

const owner = { after }
const db = await createTestDatabase()
onCleanup(owner, () => db.drop())
dispatcher(owner, db).dispatcher.start()

interface Listening {
  child: ChildProcess
  url: string
  /** What it printed, once it is over. */
  over: Promise<{ code: number | null; lines: string[] }>
}

async function listen(t: TestContext, ...args: string[]): Promise<Listening> {
  const child = startCli(['listen', '--port', '0', ...args])
  onCleanup(t, () => child.kill('SIGKILL'))
  const lines: string[] = []
  const first = Promise.withResolvers<string>()
  createInterface({ input: child.stdout! }).on('line', (line) => {
    lines.push(line)
    first.resolve(line)
  })
  const over = once(child, 'close').then(([code]) => ({ code: code as number | null, lines }))
  const url = /http:\/\/127\.0\.0\.1:\d+\//.exec(await first.promise)![0]
  return { child, url, over }
}

/** A request that a sender of this service would make, with changes. */
function post(
  url: string,
  headers: Record<string, string> = {},
  body: object | string = event(),
): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'user-agent': 'webhook-outbox/1.0.0',
      'webhook-id': '0b7f7a0e-58c3-4c0e-9a53-7d3f0a2a6c11',
      'webhook-timestamp': String(Math.floor(Date.now() / 1000)),
      'webhook-attempt': '1',
      ...headers,
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}

function event(change: object = {}): object {
  return {
    ...{
      event_type: 'task.failed',
      timestamp: '2026-01-31T14:30:00.123Z',
      entity_type: 'task',
      entity_id: 't',
    },
    ...{ project_id: null, ticket_id: 'ticket', task_id: 't', agent_id: null },
    data: { error: null, retry_count: 0, max_retries: 3 },
    ...change,
  }
}

test('what the service sends is printed and found as promised, retries too', async (t) => {
  const listening = await listen(t, '--status', '503,200', '--count', '2', '--payload')
  const [id] = await runningTasks(db, listening.url)
  await complete(db, [id!])
  const { code, lines } = await listening.over
  assert.equal(code, 0, lines.join('\n'))
  const text = lines.join('\n')
  assert.match(text, new RegExp(`task\\.completed ${id!} {2}attempt 1 {2}answered 503`))
  assert.match(text, new RegExp(`task\\.completed ${id!} {2}attempt 2 \\(seen 2 times\\) {2}answered 200`))
  assert.match(text, /^ {2}data +\{"result":"success"/m)
  assert.equal(lines.at(-1), '2 arrived, 0 of them not as promised.')
})

test('what is not as promised is named, and the exit code is 1', async (t) => {
  const listening = await listen(t, '--json', '--count', '4')
  await post(listening.url, { 'webhook-attempt': '0', 'webhook-id': 'x' })
  await post(listening.url, {}, '{')
  await post(listening.url, {}, event({ event_type: 'task.completed' }))
  assert.equal((await fetch(listening.url)).status, 200)
  const { code, lines } = await listening.over
  assert.equal(code, 1)
  const problems = lines.slice(1).map((line) => (JSON.parse(line) as { problems: string[] }).problems)
  assert.deepEqual(problems[0], [
    'the header webhook-id must be a UUID, and is "x"',
    'the header webhook-attempt must be a number from 1 on, and is "0"',
  ])
  assert.deepEqual(problems[1], ['the body must be JSON in UTF-8'])
  assert.match(problems[2]!.join(), /^the body's data\.result/)
  assert.match(problems[3]!.join(), /the method must be POST, and is GET/)
})

test('control characters of what arrives are made visible', async (t) => {
  const listening = await listen(t, '--count', '1')
  await post(
    listening.url,
    {},
    event({ entity_id: '\x1b[2Jgone', data: { error: '\x07', retry_count: 0, max_retries: 0 } }),
  )
  const { lines } = await listening.over
  assert.ok(
    lines.some((line) => line.includes('task.failed \\x1b[2Jgone')),
    lines.join('\n'),
  )
  assert.doesNotMatch(lines.join(''), /[\x00-\x1f]/)
})

test('it answers after --delay, with Retry-After where it refuses', async (t) => {
  const listening = await listen(
    t,
    '--status',
    '429',
    '--delay',
    '300ms',
    '--retry-after',
    '7',
    '--count',
    '1',
  )
  const begun = performance.now()
  const answer = await post(listening.url)
  assert.equal(answer.status, 429)
  assert.equal(answer.headers.get('retry-after'), '7')
  assert.ok(performance.now() - begun >= 290)
  assert.equal((await listening.over).code, 0)
})

test('--secret checks signatures; one that does not verify is not as promised, and the secret is not shown', async (t) => {
  const secret = newSecret()
  const listening = await listen(t, '--secret', secret, '--count', '3')
  await db.query('insert into webhook_endpoints (id, url, secrets) values (md5($1)::uuid, $1, $2)', [
    `${listening.url}signed`,
    [newSecret(), secret],
  ])
  await db.query('insert into webhook_endpoints (id, url, secrets) values (md5($1)::uuid, $1, $2)', [
    `${listening.url}other`,
    [newSecret()],
  ])
  for (const path of ['signed', 'other', 'unsigned']) {
    await complete(db, await runningTasks(db, `${listening.url}${path}`))
  }
  const { code, lines } = await listening.over
  assert.equal(code, 1)
  assert.equal(lines.at(-1), '3 arrived, 2 of them not as promised.')
  const text = lines.join('\n')
  assert.match(text, /not as promised: it is not signed with the secret: No matching signature found/)
  assert.match(text, /not as promised: it is not signed with the secret: Missing required headers/)
  assert.ok(!text.includes(secret.slice(6)))
})

test('a secret that is none is a 2, and is not shown', async () => {
  const { code, stderr } = await runCli(['listen', '--port', '0'], { WEBHOOK_SECRET: 'CANARY' })
  assert.equal(code, 2)
  assert.match(stderr, /the secret must be whsec_ and the base64 of 24 to 64 bytes \(it is not shown\)/)
  assert.ok(!stderr.includes('CANARY'))
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} ends it with 0, and the count`, async (t) => {
    const listening = await listen(t)
    await post(listening.url)
    listening.child.kill(signal)
    const { code, lines } = await listening.over
    assert.equal(code, 0)
    assert.equal(lines.at(-1), '1 arrived, 0 of them not as promised.')
  })
}

test('a port that is taken is a 2', async (t) => {
  const { url } = await listen(t)
  const other = startCli(['listen', '--port', new URL(url).port])
  let said = ''
  other.stderr!.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const [code] = (await once(other, 'close')) as [number]
  assert.equal(code, 2)
  assert.match(said, /is in use: give another --port/)
})

test('with --count, what came at the same time is answered, too', async (t) => {
  const listening = await listen(t, '--delay', '200ms', '--count', '3')
  const answers = await Promise.all([1, 2, 3].map(() => post(listening.url)))
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200],
  )
  assert.equal((await listening.over).code, 0)
})

test('Ctrl-C does not wait for an answer that is put off', async (t) => {
  const listening = await listen(t, '--delay', '60s')
  const cut = post(listening.url).catch(() => 'cut')
  const { promise: printed, resolve } = Promise.withResolvers<void>()
  listening.child.stdout!.on('data', () => resolve())
  await printed
  const begun = performance.now()
  listening.child.kill('SIGINT')
  assert.equal((await listening.over).code, 0)
  assert.ok(performance.now() - begun < 10_000)
  assert.equal(await cut, 'cut')
})
