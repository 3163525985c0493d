import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Hono } from 'hono'
import type { ApiToken } from '../../src/config.ts'
import { Sessions } from '../../src/dashboard/session.ts'
import { createTestApi, testConfig } from '../api/support.ts'
import { eventOf, putEvent, putTicket } from '../support/events.ts'

const read: ApiToken = { role: 'read', name: 'looker', token: 'read-token' }
const write: ApiToken = { role: 'write', name: 'ops', token: 'write-token' }
const api = await createTestApi({ after }, { config: { ...testConfig, apiTokens: [read, write] } })
const origin = { origin: 'https://hooks.example', host: 'hooks.example' }

const form = (path: string, fields: Record<string, string>, headers: Record<string, string> = {}) =>
  api.call('POST', path, undefined, {
    raw: new URLSearchParams(fields).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...origin, ...headers },
  })

async function logIn({ token }: ApiToken): Promise<{ cookie: string }> {
  const answer = await form('/login', { token })
  assert.equal(answer.status, 303, answer.text)
  return { cookie: answer.headers.get('set-cookie')!.split(';')[0]! }
}

test('without a session every page leads to the login, and from there back', async () => {
  for (const [path, to] of [
    ['/', '/login'],
    ['/deliveries?state=dead', '/login?next=%2Fdeliveries%3Fstate%3Ddead'],
    ['/endpoints', '/login?next=%2Fendpoints'],
    ['/operations', '/login?next=%2Foperations'],
    ['/agents', '/login?next=%2Fagents'],
    ['/audit', '/login?next=%2Faudit'],
    ['/bulk/replay', '/login?next=%2Fbulk%2Freplay'],
  ]) {
    const answer = await api.call('GET', path!)
    assert.equal(answer.status, 303, path)
    assert.equal(answer.headers.get('location'), to)
    assert.equal(answer.text, '')
  }
  const answer = await form('/login', { token: write.token, next: '/deliveries?state=dead' })
  assert.equal(answer.headers.get('location'), '/deliveries?state=dead')
})

test('a login never leads to another site', async () => {
  for (const next of [
    'https://evil.example/',
    '//evil.example/',
    '/\\evil.example',
    '\\\\evil.example',
    'javascript:alert(1)',
    '/\t/evil.example',
  ]) {
    const answer = await form('/login', { token: write.token, next })
    const to = new URL(answer.headers.get('location')!, 'https://hooks.example')
    assert.equal(to.origin, 'https://hooks.example', next)
  }
})

test('the cookie is for no script and no other site, and the token is not in it', async () => {
  const answer = await form('/login', { token: write.token })
  const cookie = answer.headers.get('set-cookie')!
  assert.match(cookie, /; HttpOnly/)
  assert.match(cookie, /; SameSite=Strict/)
  assert.match(cookie, /; Path=\//)
  assert.doesNotMatch(cookie, /; Secure/)
  assert.ok(!cookie.includes(write.token) && !cookie.includes(Buffer.from(write.token).toString('base64url')))
  const behindTls = await form('/login', { token: write.token }, { 'x-forwarded-proto': 'https' })
  assert.match(behindTls.headers.get('set-cookie')!, /; Secure/)
})

test('a token that is not known gets no session', async () => {
  for (const token of ['', 'nope', 'write-toke', 'write-tokens']) {
    const answer = await form('/login', { token })
    assert.equal(answer.status, 401)
    assert.equal(answer.headers.get('set-cookie'), null)
    assert.match(answer.text, /This token is not known/)
  }
})

test('the login is for the own page only', async () => {
  const answer = await form('/login', { token: write.token }, { origin: 'https://evil.example' })
  assert.equal(answer.status, 403)
  assert.equal(answer.headers.get('set-cookie'), null)
})

test('a read token sees the pages without anything that writes, and may not write', async () => {
  const session = await logIn(read)
  const id = await putEvent(api.database, await putTicket(api.database, { url: 'http://127.0.0.1:9/r' }))
  for (const path of [
    '/',
    '/deliveries',
    `/deliveries/${id}`,
    '/endpoints',
    '/operations',
    '/agents',
    '/audit',
  ]) {
    const { status, text } = await api.call('GET', path, undefined, { headers: session })
    assert.equal(status, 200, path)
    assert.match(text, /looker<\/bdi> \(read only\)/)
    const forms = [...text.matchAll(/<form method="post" action="([^"]+)"/g)].map(([, action]) => action)
    assert.deepEqual(forms, ['/logout'], path)
    assert.doesNotMatch(text, /href="\/bulk/)
  }
  const answer = await form(`/deliveries/${id}/replay`, {}, session)
  assert.equal(answer.status, 403)
  assert.equal((await eventOf(api.database, id)).state, 'dead')
})

test('a write token changes things under its name', async () => {
  const session = await logIn(write)
  const id = await putEvent(api.database, await putTicket(api.database, { url: 'http://127.0.0.1:9/w' }))
  assert.equal((await form(`/deliveries/${id}/replay`, {}, session)).status, 303)
  const [entry] = await api.database.query('select actor from webhook_audit where target = $1', [
    `deliveries/${id}`,
  ])
  assert.equal(entry?.['actor'], 'ops')
})

test('a session is for pages, and the API takes none', async () => {
  const session = await logIn(write)
  assert.equal((await api.call('GET', '/api/v1/deliveries', undefined, { headers: session })).status, 401)
})

test('pages take a token in the header, as the API does', async () => {
  const headers = { authorization: 'Bearer read-token' }
  assert.equal((await api.call('GET', '/', undefined, { headers })).status, 200)
})

test('after the logout the cookie is gone', async () => {
  const session = await logIn(write)
  const answer = await form('/logout', {}, session)
  assert.equal(answer.status, 303)
  assert.equal(answer.headers.get('location'), '/login')
  assert.match(answer.headers.get('set-cookie')!, /=; Max-Age=0/)
})

test('a cookie that was changed in any place is none', async () => {
  const { cookie } = await logIn(read)
  for (let i = cookie.indexOf('=') + 1; i < cookie.length; i++) {
    // The last character of base64 has bits that mean nothing.
    if (i === cookie.length - 1) continue
    const changed = cookie.slice(0, i) + (cookie[i] === 'x' ? 'y' : 'x') + cookie.slice(i + 1)
    const answer = await api.call('GET', '/', undefined, { headers: { cookie: changed } })
    assert.equal(answer.status, 303, changed)
  }
})

test('a session ends with its time, and with its token', async () => {
  let now = Date.parse('2026-01-01T00:00:00Z')
  const found = async (tokens: ApiToken[], cookie: string) => {
    const app = new Hono().get('/', (c) => c.text(new Sessions(tokens, () => now).find(c)?.name ?? 'nobody'))
    return (await app.request('/', { headers: { cookie } })).text()
  }
  const app = new Hono().get('/', (c) => {
    new Sessions([write], () => now).start(c, write)
    return c.body(null)
  })
  const cookie = (await app.request('/')).headers.get('set-cookie')!.split(';')[0]!
  assert.equal(await found([read, write], cookie), 'ops')
  assert.equal(await found([read], cookie), 'nobody')
  assert.equal(await found([{ ...write, token: 'another' }], cookie), 'nobody')
  assert.equal(await found([{ ...write, role: 'read' }], cookie), 'nobody')
  now += 12 * 3_600_000
  assert.equal(await found([write], cookie), 'nobody')
})
