import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { ConfigError, isLoopbackHost, parseDuration, readConfig } from '../src/config.ts'

const directory = mkdtempSync(join(tmpdir(), 'webhook-outbox-config-'))
after(() => rmSync(directory, { recursive: true }))

function problemsOf(env: Record<string, string>): string[] {
  try {
    readConfig(env)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems
  }
  return []
}

test('an empty environment gives the defaults that are documented', () => {
  assert.deepEqual(readConfig({}), {
    databaseUrl: undefined,
    listenDatabaseUrl: undefined,
    role: 'all',
    host: '127.0.0.1',
    port: 3000,
    apiTokens: [],
    retrySchedule: [1_000, 2_000, 4_000],
    deliveryTimeoutMs: 10_000,
    agentStuckAfterMs: 90_000,
    stuckSweepIntervalMs: 5_000,
    maxInFlight: 256,
    maxInFlightPerEndpoint: 16,
    leaseMs: 30_000,
    pollIntervalMs: 1_000,
    addressPolicy: 'loopback',
    addressAllow: [],
    addressDeny: [],
    retentionMs: 7 * 86_400_000,
    deadRetentionMs: 30 * 86_400_000,
    maxOwedAgeMs: 14 * 86_400_000,
    recoverWindowMs: 86_400_000,
    installation: undefined,
    operatorWebhookUrl: undefined,
    shutdownGraceMs: 15_000,
    logLevel: 'info',
  })
})

test('a database of its own makes the address policy internal, and listens on itself', () => {
  const config = readConfig({ DATABASE_URL: 'postgres://a:b@db:5432/c' })
  assert.equal(config.addressPolicy, 'internal')
  assert.equal(config.listenDatabaseUrl, 'postgres://a:b@db:5432/c')
})

for (const [value, ms] of [
  ['1ms', 1],
  ['1500ms', 1_500],
  ['10s', 10_000],
  ['5m', 300_000],
  ['2h', 7_200_000],
  ['7d', 604_800_000],
  ['0s', 0],
  ['10', null],
  ['1.5s', null],
  ['-1s', null],
  ['1 s', null],
  ['1w', null],
  ['s', null],
  ['', null],
] as const) {
  test(`the duration "${value}" is ${ms} ms`, () => assert.equal(parseDuration(value), ms))
}

for (const [name, value, says] of [
  ['DATABASE_URL', 'mysql://root:hunter2@db/x', /postgres:\/\//],
  ['DATABASE_URL', 'not a url', /postgres:\/\//],
  ['ROLE', 'worker', /all, api or dispatcher/],
  ['PORT', '65536', /0 to 65535/],
  ['PORT', '1e3', /whole number/],
  ['RETRY_SCHEDULE', '1s,,2s', /1s,2s,4s/],
  ['RETRY_SCHEDULE', '0s', /more than 0/],
  ['RETRY_SCHEDULE', Array(101).fill('1s').join(','), /100 at most/],
  ['DELIVERY_TIMEOUT', '0s', /more than 0/],
  ['DELIVERY_TIMEOUT', 'ten', /whole number and ms, s, m, h or d/],
  ['LEASE', '11999ms', /DELIVERY_TIMEOUT \+ 2s/],
  ['MAX_IN_FLIGHT', '0', /1 to/],
  ['ADDRESS_POLICY', 'any', /public, internal or loopback/],
  ['ADDRESS_ALLOW', '10.0.0.0', /no CIDR/],
  ['ADDRESS_ALLOW', '10/8', /no CIDR/],
  ['ADDRESS_DENY', '010.0.0.0/8', /no CIDR/],
  ['ADDRESS_DENY', 'fe80::1%eth0/64', /no CIDR/],
  ['ADDRESS_DENY', '10.0.0.0/8, 300.0.0.0/8', /300\.0\.0\.0\/8 is no CIDR/],
  ['API_TOKENS', 'admin:ops:longenough', /role:name:token/],
  ['API_TOKENS', 'read:a:longenough,write:a:longenough2', /twice/],
  ['INSTALLATION', 'a\nb', /control characters/],
  ['INSTALLATION', ' ', /blank/],
  ['INSTALLATION', 'x'.repeat(201), /at most 200/],
  ['OPERATOR_WEBHOOK_URL', 'ftp://secret@x', /http:\/\/ or https:\/\//],
  ['OPERATOR_WEBHOOK_URL', 'https://me:secret@x/', /must not contain credentials/],
  ['OPERATOR_WEBHOOK_URL', 'https://x/\u0007', /control characters/],
  ['OPERATOR_WEBHOOK_URL', `https://x/${'a'.repeat(2_048)}`, /2048 characters/],
  ['OPERATOR_WEBHOOK_URL', 'hooks.example.com', /complete URL/],
  ['OPERATOR_WEBHOOK_URL', 'http://169.254.169.254/latest', /never allowed/],
  ['OPERATOR_WEBHOOK_URL', 'http://[::]/', /never allowed/],
  ['LOG_LEVEL', 'verbose', /debug/],
  ['HOST', '0.0.0.0', /API_TOKENS/],
  ['HOST', '::', /API_TOKENS/],
  ['HOST', 'example.com', /API_TOKENS/],
] as const) {
  test(`${name}=${value.slice(0, 40)} is refused, and the message says what to change`, () => {
    const problems = problemsOf({ [name]: value })
    assert.equal(problems.length, 1)
    assert.ok(problems[0]!.startsWith(`${name} `), problems[0])
    assert.match(problems[0]!, says)
  })
}

test('every bad variable is named at once', () => {
  const problems = problemsOf({ PORT: 'x', ROLE: 'y', LEASE: 'z', RETRY_SHEDULE: '1s' })
  assert.deepEqual(problems.map((problem) => problem.split(' ')[0]).sort(), [
    'LEASE',
    'PORT',
    'RETRY_SHEDULE',
    'ROLE',
  ])
  assert.ok(problems.includes('RETRY_SHEDULE is unknown: did you mean RETRY_SCHEDULE?'))
})

test('what is wrong together is named beside what is wrong by itself', () => {
  const problems = problemsOf({ PORT: 'x', LEASE: '5s', HOST: '0.0.0.0' })
  assert.deepEqual(problems.map((problem) => problem.split(' ')[0]).sort(), ['HOST', 'LEASE', 'PORT'])
})

test('secrets are not repeated', () => {
  const problems = problemsOf({
    DATABASE_URL: 'mysql://root:hunter2@db/x',
    API_TOKENS: 'admin:ops:hunter2hunter2',
    OPERATOR_WEBHOOK_URL: 'ftp://hunter2',
  })
  assert.equal(problems.length, 3)
  assert.ok(!problems.join().includes('hunter2'))
})

test('a variable that is only like one of ours is left alone where ours is set, or where it is short', () => {
  assert.deepEqual(
    problemsOf({ DATABASE_URI: 'x', DATABASE_URL: 'postgres://db/x', POST: '1', HOSTS: '2' }),
    [],
  )
})

test('a variable may be given by a file', () => {
  const file = join(directory, 'url')
  writeFileSync(file, 'postgres://a:b@db/c\n')
  assert.equal(readConfig({ DATABASE_URL_FILE: file }).databaseUrl, 'postgres://a:b@db/c')
})

test('a file that is missing or empty, and a variable given twice, are refused', () => {
  const empty = join(directory, 'empty')
  writeFileSync(empty, '\n')
  assert.match(
    problemsOf({ DATABASE_URL_FILE: join(directory, 'none') })[0]!,
    /DATABASE_URL_FILE cannot be read: ENOENT/,
  )
  assert.match(problemsOf({ DATABASE_URL_FILE: empty })[0]!, /empty/)
  assert.match(problemsOf({ PORT_FILE: empty, PORT: '1' })[0]!, /both set/)
})

test('API_TOKENS are roles, names and tokens', () => {
  const { apiTokens } = readConfig({
    API_TOKENS: 'read:dash:abcdefgh, write:ops:with:colons',
    HOST: '0.0.0.0',
  })
  assert.deepEqual(apiTokens, [
    { role: 'read', name: 'dash', token: 'abcdefgh' },
    { role: 'write', name: 'ops', token: 'with:colons' },
  ])
})

for (const [host, loopback] of [
  ['127.0.0.1', true],
  ['127.8.8.8', true],
  ['::1', true],
  ['[::1]', true],
  ['localhost', true],
  ['LOCALHOST', true],
  ['0.0.0.0', false],
  ['::', false],
  ['10.0.0.1', false],
  ['localhost.example.com', false],
] as const) {
  test(`${host} is ${loopback ? '' : 'not '}loopback`, () => assert.equal(isLoopbackHost(host), loopback))
}

test('RECOVER_WINDOW alone may be 0', () => {
  assert.equal(readConfig({ RECOVER_WINDOW: '0s' }).recoverWindowMs, 0)
})
