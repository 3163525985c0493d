import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { commands } from '../../src/cli/commands.ts'
import { version } from '../../src/version.ts'
import { onCleanup } from '../support/cleanup.ts'
import { runCli } from './support.ts'

const eventId = '0198c2f4-7a3e-7d71-9c43-5e0a4f7a2b10'

test('--help lists every command, and says where to look when an event has not arrived', async () => {
  const { code, stdout, stderr } = await runCli(['--help'])
  assert.equal(code, 0)
  assert.equal(stderr, '')
  for (const [name, { summary }] of Object.entries(commands)) {
    assert.match(stdout, new RegExp(`^  ${name} +${summary}$`, 'm'))
  }
  assert.match(stdout, /Why has an event not arrived\? +webhook-outbox show/)
  assert.match(stdout, /Exit codes: 0 .*; 1 .*; 2 /s)
})

test('without a command the help goes to standard error, and the exit code is 2', async () => {
  const { code, stdout, stderr } = await runCli([])
  assert.equal(code, 2)
  assert.equal(stdout, '')
  assert.match(stderr, /Usage: webhook-outbox <command>/)
})

for (const [npmCommand, named] of [
  ['exec', 'npx webhook-outbox'],
  ['run', 'npm run cli --'],
  ['', 'webhook-outbox'],
] as const) {
  test(`called by ${named}, it names commands so that they can be copied`, async () => {
    const { stdout } = await runCli(['--help'], { npm_command: npmCommand })
    assert.ok(stdout.includes(`Usage: ${named} <command>`))
    assert.ok(stdout.includes(`  ${named} show <event_id`))
  })
}

test('--version prints the version', async () => {
  assert.equal((await runCli(['--version'])).stdout, `${version}\n`)
})

for (const name of Object.keys(commands)) {
  test(`${name} --help says what it does, its options and its exit codes; help ${name} too`, async () => {
    const { code, stdout } = await runCli([name, '--help'])
    assert.equal(code, 0)
    assert.ok(stdout.startsWith(`Usage: webhook-outbox ${name}`), stdout)
    assert.match(stdout, /^ {2}-h, --help +this text$/m)
    assert.match(stdout, /Exit codes:/)
    assert.equal((await runCli(['help', name])).stdout, stdout)
  })

  test(`${name} with an option that there is not is refused with 2, and does nothing`, async () => {
    const { code, stdout, stderr } = await runCli([name, '--no-such-option'])
    assert.equal(code, 2)
    assert.equal(stdout, '')
    assert.match(stderr, /there is no option --no-such-option/)
    assert.ok(stderr.includes(`webhook-outbox ${name} --help`), stderr)
  })

  test(`${name} with too many arguments is refused with 2`, async () => {
    const { code, stderr } = await runCli([name, 'one', 'two'])
    assert.equal(code, 2)
    assert.match(stderr, /is one argument too many/)
  })
}

for (const [args, said] of [
  [['deliverys'], /there is no command "deliverys": did you mean deliveries\?/],
  [['help', 'shwo'], /did you mean show\?/],
  [['toString'], /there is no command/],
  [['deliveries', '--stat', 'dead'], /no option --stat: did you mean --state\?/],
  [['deliveries', '--state'], /--state needs a value/],
  [['deliveries', '--state', '--json'], /--state needs a value/],
  [['deliveries', '--json=yes'], /--json takes no value/],
  [['deliveries', '--limit', '0'], /--limit must be a whole number/],
  [['deliveries', '--endpoint', 'host'], /is no endpoint: give the id/],
  [['show'], /<event_id or task_id> is missing/],
  [['pause'], /<id or url> is missing/],
  [['replay'], /give an event_id, a filter, or --all/],
  [['replay', '--all', '--state', 'dead'], /--all and filters do not go together/],
  [['replay', 'task-1', '--yes'], /"task-1" is no event_id: .* show task-1 finds it, if it is a task's id/],
  [['discard', 'task-1'], /"task-1" is no event_id/],
  [['replay', eventId, '--state', 'dead'], /an event_id and --state do not go together/],
  [['replay', '--all', '--rate', '0'], /--rate must be/],
  [['discard'], /give an event_id, a filter, or --all/],
  [['endpoints', 'http://x/', '--owed'], /do not go together/],
  [['listen', '--port', '99999'], /--port must be a whole number/],
  [['listen', '--status', '200,abc'], /--status must be/],
  [['listen', '--delay', 'long'], /--delay must be a duration/],
  [['migrate', '--dry-run', '--down'], /do not go together/],
  [['status', '--url', 'nowhere'], /the URL of the service must be/],
  [['status', '--url', 'http://user:CANARY@127.0.0.1'], /must hold no credentials/],
  [['status', '--token', 'CAN ARY'], /the token must be/],
  [['status', '--timeout', '-1'], /needs a value/],
  [['status', '--timeout=-1'], /--timeout must be/],
] as const) {
  test(`wrong usage: ${args.join(' ')}`, async () => {
    const { code, stdout, stderr } = await runCli(args)
    assert.equal(code, 2, stderr)
    assert.equal(stdout, '')
    assert.match(stderr, said)
    assert.doesNotMatch(stderr, /CANARY|CAN ARY|\n +at /)
  })
}

// No test can have been given this port.
const url = 'http://127.0.0.1:2'
for (const args of [
  ['status'],
  ['deliveries'],
  ['show', 'x'],
  ['replay', eventId, '--yes'],
  ['replay', '--all'],
  ['discard', eventId, '--yes'],
  ['endpoints'],
  ['pause', 'http://x/'],
  ['resume', 'http://x/'],
  ['test', 'http://x/'],
]) {
  test(`${args.join(' ')} where no service listens: 1, and where it was looked for`, async () => {
    const { code, stdout, stderr } = await runCli(args, { WEBHOOK_OUTBOX_URL: url })
    assert.equal(code, 1)
    assert.equal(stdout, '')
    assert.ok(stderr.startsWith(`${url} cannot be reached (ECONNREFUSED)`), stderr)
    assert.match(stderr, /webhook-outbox doctor/)
  })
}

test('an answer of another service is told from a fault of this program', async (t) => {
  const other = createServer((_, response) => {
    response.setHeader('content-type', 'application/json').end('{"ok":true}')
  })
  onCleanup(t, () => new Promise((resolve) => other.close(resolve)))
  await once(other.listen(0, '127.0.0.1'), 'listening')
  const { port } = other.address() as AddressInfo
  const { code, stderr } = await runCli(['show', 'x'], { WEBHOOK_OUTBOX_URL: `http://127.0.0.1:${port}` })
  assert.equal(code, 1)
  assert.match(
    stderr,
    /^the answer is not as webhook-outbox \S+ has it: is it this service, of this version\?/,
  )
})
