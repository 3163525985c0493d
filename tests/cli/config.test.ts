import assert from 'node:assert/strict'
import { test } from 'node:test'
import { variableNames } from '../../src/config.ts'
import { createTestDatabase } from '../support/database.ts'
import { onCleanup } from '../support/cleanup.ts'
import { runCli } from './support.ts'

const canary = 'CANARY-5b1c'

test('check-config prints every variable, where it is from, and no secret', async () => {
  const { code, stdout, stderr } = await runCli(['check-config'], {
    DATABASE_URL: `postgres://me:${canary}@db.internal:5433/app?password=${canary}`,
    API_TOKENS: `read:dashboard:${canary},write:backend:${canary}2`,
    OPERATOR_WEBHOOK_URL: `https://ops.example.com/${canary}?k=${canary}`,
    RETRY_SCHEDULE: '1s, 90s',
  })
  assert.equal(code, 0, stderr)
  for (const name of variableNames) assert.match(stdout, new RegExp(`^${name} `, 'm'))
  assert.match(stdout, /^DATABASE_URL +postgres:\/\/me:\*\*\*@db\.internal:5433\/app +environment$/m)
  assert.match(stdout, /^API_TOKENS +read:dashboard:\*\*\*,write:backend:\*\*\* +environment$/m)
  assert.match(stdout, /^OPERATOR_WEBHOOK_URL +https:\/\/ops\.example\.com\/\*\*\* +environment$/m)
  assert.match(stdout, /^RETRY_SCHEDULE +1s,90s +environment$/m)
  assert.match(stdout, /^LEASE +30s +default$/m)
  assert.ok(!stdout.includes(canary))
})

test('check-config names all that is wrong at once, with 2', async () => {
  const env = { LEASE: '1s', PORT: 'x', API_TOKENS: canary, RETRY_SHEDULE: '1s' }
  const { code, stdout, stderr } = await runCli(['check-config'], env)
  assert.equal(code, 2)
  assert.equal(stdout, '')
  for (const said of [
    /LEASE must be at least/,
    /PORT must be/,
    /API_TOKENS entry 1/,
    /did you mean RETRY_SCHEDULE/,
  ]) {
    assert.match(stderr, said)
  }
  assert.ok(!stderr.includes(canary))
  const json = await runCli(['check-config', '--json'], env)
  assert.equal(json.code, 2)
  assert.equal((json.json()['problems'] as unknown[]).length, 4)
})

test('migrate lists what is pending, applies it, has nothing to do then, and goes a step back', async (t) => {
  const db = await createTestDatabase({ migrated: false })
  onCleanup(t, () => db.drop())
  const env = { DATABASE_URL: db.url }
  const dry = await runCli(['migrate', '--dry-run'], env)
  assert.equal(dry.code, 1)
  assert.match(dry.stdout, /^ {2}0001_host_tables$/m)
  assert.deepEqual(await db.query("select to_regclass('webhook_outbox') as found"), [{ found: null }])

  const applied = await runCli(['migrate'], env)
  assert.equal(applied.code, 0, applied.stderr)
  assert.match(applied.stdout, /^applied {2}0001_host_tables$/m)
  assert.deepEqual((await runCli(['migrate', '--dry-run', '--json'], env)).json(), { pending: [] })
  assert.match((await runCli(['migrate'], env)).stdout, /Nothing to do/)

  const back = (await runCli(['migrate', '--down', '--json'], env)).json() as {
    done: { direction: string }[]
  }
  assert.deepEqual(
    back.done.map(({ direction }) => direction),
    ['Down'],
  )
  assert.equal((await runCli(['migrate', '--dry-run'], env)).code, 1)
})

test('migrate is refused where a column of the host cannot serve, with 1 and its name', async (t) => {
  const db = await createTestDatabase({ migrated: false })
  onCleanup(t, () => db.drop())
  await db.query('create table tasks (id integer primary key, status text)')
  const { code, stderr } = await runCli(['migrate'], { DATABASE_URL: db.url })
  assert.equal(code, 1)
  assert.match(stderr, /^refused: .*tasks\.id is integer, and must be text/)
})

for (const name of ['migrate', 'doctor']) {
  test(`${name} where Postgres is away says so, with 1, and shows no password`, async () => {
    const { code, stdout, stderr } = await runCli([name], {
      DATABASE_URL: `postgres://u:${canary}@127.0.0.1:1/x`,
    })
    assert.equal(code, 1)
    assert.match(stdout + stderr, /Postgres cannot be reached \(ECONNREFUSED\): check DATABASE_URL/)
    assert.ok(!(stdout + stderr).includes(canary))
  })

  test(`${name} with a bad configuration: 2`, async () => {
    const { code, stderr } = await runCli([name], { DATABASE_URL: 'mysql://x' })
    assert.equal(code, 2)
    assert.match(stderr, /DATABASE_URL must be a URL such as postgres:/)
  })
}
