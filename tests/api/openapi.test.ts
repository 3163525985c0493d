import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import type { OpenApiDocument } from '../../src/api/openapi/document.ts'
import { DocumentChecker, type Documented, documentedOperations } from '../support/api-document.ts'
import { onCleanup } from '../support/cleanup.ts'
import { connect, kyselyOver } from '../../src/database/connection.ts'
import { createApp } from '../../src/api/app.ts'
import { type Answer, callerOf, createTestApi, noSender, pointers, testConfig } from './support.ts'
import { type Call, conflicts, otherAnswers, requests } from './openapi-requests.ts'

const api = await createTestApi({ after })
const document = JSON.parse((await api.call('GET', '/openapi.json')).text) as OpenApiDocument
const checker = new DocumentChecker(document)
const all = documentedOperations(document)

const send = (one: Documented, call: Call = {}, with_ = api): Promise<Answer> =>
  with_.call(one.method.toUpperCase(), pathOf(one.path, call), call.body, call)

function pathOf(path: string, { params = {}, query = {} }: Call): string {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(params[name] ?? 'nothing'),
  )
  const search = new URLSearchParams(query).toString()
  return search === '' ? filled : `${filled}?${search}`
}

/** The schema of what is sent, where that is an object of named properties. */
function bodyProperties({ operation }: Documented): Record<string, unknown> | undefined {
  const content = Object.values(operation.requestBody?.content ?? {})[0]
  return content?.schema['properties']
}

const queryOf = ({ operation }: Documented) =>
  (operation.parameters ?? []).filter((parameter) => parameter.in === 'query')

test("the document is valid OpenAPI 3.1, by somebody else's judgement", async () => {
  const validator = new Validator()
  const result = await validator.validate({ ...structuredClone(document) })
  assert.deepEqual(result.errors ?? [], [])
  assert.equal(result.valid, true)
  assert.equal(validator.version, '3.1')
})

/** Pages and what they load, for people: they are no part of the API. */
const dashboard =
  /^(?:\/|\/(?:assets|bulk)\/.+|\/(?:deliveries|endpoints|audit|operations)(?:\/.+)?|\/(?:agents|login|logout))$/

test('every route that is mounted is in the document, and the other way round', () => {
  const mounted = api.app.routes
    .filter(({ method, path }) => method !== 'ALL' && !dashboard.test(path))
    .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`)
  const documented = all.map(({ method, path }) => `${method.toUpperCase()} ${path}`)
  assert.deepEqual([...new Set(mounted)].sort(), documented.sort())
})

test('every operation has a name of its own', () => {
  const ids = all.map(({ operation }) => operation.operationId)
  assert.deepEqual([...new Set(ids)], ids)
})

test('a valid request, with everything that is documented for it, gets the documented answer', async () => {
  for (const one of all) {
    const { operationId } = one.operation
    const make = requests[operationId]
    assert.ok(make, `tests/api/openapi-requests.ts has a request for ${operationId}`)
    const call = await make(api)
    assert.deepEqual(
      Object.keys(call.body ?? {}).sort(),
      Object.keys(bodyProperties(one) ?? {})
        .filter((name) => call.leavesOut?.includes(name) !== true)
        .sort(),
      `${operationId}: its test sends every property`,
    )
    assert.deepEqual(
      Object.keys(call.query ?? {}).sort(),
      queryOf(one)
        .map(({ name }) => name)
        .sort(),
      `${operationId}: its test gives every parameter`,
    )
    const answer = await send(one, call)
    assert.ok(answer.status < 300, `${operationId}: ${answer.status} ${answer.text.slice(0, 500)}`)
    checker.answer(one.operation, answer)
    call.check?.(answer)
  }
})

test('operations with more than one answer give each as documented', async () => {
  const several = all.flatMap((one) => {
    const statuses = Object.keys(one.operation.responses).filter((status) => status.startsWith('2'))
    return statuses.length > 1 ? [one] : []
  })
  assert.deepEqual(
    several.map(({ operation }) => operation.operationId).sort(),
    Object.keys(otherAnswers).sort(),
  )
  for (const one of several) {
    for (const [status, make] of Object.entries(otherAnswers[one.operation.operationId]!)) {
      const answer = await send(one, await make(api))
      assert.equal(answer.status, Number(status), answer.text)
      checker.answer(one.operation, answer)
    }
  }
})

test('a body that cannot be taken gets the documented problem, with a pointer to what is wrong', async () => {
  for (const one of all.filter(({ operation }) => operation.requestBody !== undefined)) {
    const call = await requests[one.operation.operationId]!(api)
    const expect = async (status: number, change: Partial<Call>) => {
      const answer = await send(one, { ...call, ...change })
      assert.equal(answer.status, status, `${one.operation.operationId}: ${answer.text.slice(0, 300)}`)
      checker.answer(one.operation, answer)
      return answer
    }
    await expect(400, { raw: '{' })
    await expect(415, { headers: { 'content-type': 'text/plain' } })
    await expect(413, { raw: `"${'x'.repeat(256 * 1024)}"` })
    const body = call.body as Record<string, unknown>
    const unknown = await expect(422, { body: { ...body, no_such_property: 1 } })
    assert.deepEqual(pointers(unknown), ['#/no_such_property'])
    for (const [name, schema] of Object.entries(bodyProperties(one)!)) {
      if (
        (schema as { type?: unknown; anyOf?: unknown }).type === undefined &&
        !('anyOf' in (schema as object))
      )
        continue
      const answer = await expect(422, { body: { ...body, [name]: { not: ['this'] } } })
      assert.ok(
        pointers(answer).some((pointer) => pointer.startsWith(`#/${name}`)),
        `${one.operation.operationId} ${name}: ${answer.text}`,
      )
    }
  }
})

test('a query that cannot be taken gets the documented problem', async () => {
  for (const one of all.filter((one) => queryOf(one).length > 0)) {
    const path = pathOf(one.path, {})
    const unknown = await api.call('GET', `${path}?no_such_parameter=1`)
    assert.equal(unknown.status, 422, one.path)
    checker.answer(one.operation, unknown)
    for (const { name } of queryOf(one)) {
      const twice = await api.call('GET', `${path}?${name}=a&${name}=b`)
      assert.deepEqual(pointers(twice), [`#/${name}`], `${one.path} ${name} twice`)
      checker.answer(one.operation, twice)
    }
  }
})

test('an id that there is not, or a path that is no UTF-8, gets the documented problem', async () => {
  for (const one of all.filter(({ path }) => path.includes('{'))) {
    const call = await requests[one.operation.operationId]!(api)
    const absent = await send(one, { ...call, params: {} })
    assert.equal(absent.status, 404, one.operation.operationId)
    checker.answer(one.operation, absent)
    const path = one.path.replaceAll(/\{\w+\}/g, '%ff')
    const malformed = await api.call(one.method.toUpperCase(), path, call.body, call)
    assert.equal(malformed.status, 400, one.operation.operationId)
    checker.answer(one.operation, malformed)
  }
})

test('what conflicts gets the documented 409', async () => {
  const documented = all.filter(({ operation }) => operation.responses['409'] !== undefined)
  assert.deepEqual(
    documented.map(({ operation }) => operation.operationId).sort(),
    Object.keys(conflicts).sort(),
  )
  for (const one of documented) {
    const answer = await send(one, await conflicts[one.operation.operationId]!(api))
    assert.equal(answer.status, 409, `${one.operation.operationId}: ${answer.text.slice(0, 300)}`)
    checker.answer(one.operation, answer)
  }
})

test('access is as documented: no token, a read token, a write token', async () => {
  const tokens = [
    { role: 'read' as const, name: 'reader', token: 'r' },
    { role: 'write' as const, name: 'writer', token: 'w' },
  ]
  const app = createApp({
    db: kyselyOver(api.database.pool),
    config: { ...testConfig, apiTokens: tokens },
    sender: noSender,
    version: '0.0.0',
    health: () => Promise.resolve({ status: 'ok', checks: {} }),
  })
  const guarded = { ...api, call: callerOf(app) }
  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })
  for (const one of all) {
    const needed = one.operation.security?.[0]?.['token']?.[0]
    const without = await send(one, {}, guarded)
    if (needed === undefined) {
      assert.equal(without.status, 200, one.path)
      continue
    }
    assert.equal(without.status, 401, one.path)
    checker.answer(one.operation, without)
    const reading = await send(one, bearer('r'), guarded)
    assert.equal(
      reading.status === 403,
      needed === 'write',
      `${one.operation.operationId}: ${reading.status}`,
    )
    if (reading.status === 403) checker.answer(one.operation, reading)
    assert.ok(![401, 403].includes((await send(one, bearer('w'), guarded)).status), one.path)
  }
})

test('without its database every operation gives what is documented for it', async (t) => {
  const gone = connect('postgres://nobody@127.0.0.1:1/nothing')
  onCleanup(t, () => gone.destroy())
  const app = createApp({
    db: gone,
    config: testConfig,
    sender: noSender,
    version: '0.0.0',
    health: () =>
      Promise.resolve({ status: 'failing', checks: { database: { status: 'failing', detail: 'away' } } }),
  })
  const away = { ...api, call: callerOf(app) }
  const needless = ['/livez', '/docs', '/openapi.json', '/metrics']
  for (const one of all.filter(({ path }) => !needless.includes(path))) {
    const answer = await send(one, await requests[one.operation.operationId]!(api), away)
    assert.equal(answer.status, 503, one.operation.operationId)
    checker.answer(one.operation, answer)
  }
})

test('the page shows every operation and event, and loads nothing', async () => {
  const answer = await api.call('GET', '/docs')
  assert.equal(answer.headers.get('content-type')?.split(';')[0], 'text/html')
  for (const { path, operation } of all) {
    assert.ok(answer.text.includes(`<code>${path}</code>`), path)
    assert.ok(answer.text.includes(`id="${operation.operationId}"`), operation.operationId)
  }
  for (const type of Object.keys(document.webhooks))
    assert.ok(answer.text.includes(`<code>${type}</code>`), type)
  const policy = answer.headers.get('content-security-policy') ?? ''
  assert.match(policy, /^default-src 'none'; style-src 'sha256-[\w+/=]+';/)
  assert.doesNotMatch(policy, /unsafe|script-src|https?:/)
  assert.doesNotMatch(
    answer.text,
    /<script|<link|<img|<iframe|\son\w+=|\sstyle=|@import|url\(|(?:src|href)="(?:https?:)?\/\//i,
  )
})
