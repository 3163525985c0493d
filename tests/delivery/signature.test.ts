import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { createSender } from '../../src/delivery/send.ts'
import { fingerprintOf, isSecret, newSecret } from '../../src/delivery/signature.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase } from '../support/database.ts'
import { receiver } from '../support/endpoints.ts'

const owner = { after }
const sender = createSender({ timeoutMs: 2_000, version: 'test', maxSockets: 8 })
onCleanup(owner, () => sender.close())
const db = await createTestDatabase()
onCleanup(owner, () => db.drop())

const of = (bytes: number) => `whsec_${Buffer.alloc(bytes, 7).toString('base64')}`

/** What a secret may be: the same to the API and to the column. */
const cases: [text: string, accepted: boolean][] = [
  ...[24, 25, 26, 31, 32, 33, 60, 61, 62, 63, 64].map((n): [string, boolean] => [of(n), true]),
  ...[0, 1, 22, 23, 65, 66, 67, 96].map((n): [string, boolean] => [of(n), false]),
  [of(32).replace('whsec_', ''), false],
  [of(32).replace('whsec_', 'WHSEC_'), false],
  [of(32).replace('=', ''), false],
  [`${of(32)}\n`, false],
  [` ${of(32)}`, false],
  [of(33).replace('B', '-'), false],
]

for (const [text, accepted] of cases) {
  test(`${JSON.stringify(text)} is ${accepted ? 'a' : 'no'} secret, to the column too`, async () => {
    assert.equal(isSecret(text), accepted)
    await db.query('truncate webhook_project_secrets')
    const insert = db.query(`insert into webhook_project_secrets values ('p', array[$1])`, [text])
    if (accepted) {
      await insert
      assert.ok(new Webhook(text).sign('a', new Date(), '').startsWith('v1,'))
    } else await assert.rejects(insert, { code: '23514' })
  })
}

for (const secrets of [`'{}'`, `array[$1, $1, $1]`, `array[$1, null]`, `array[[$1], [$1]]`, `'[2:2]={x}'`]) {
  test(`the columns refuse ${secrets} as secrets`, async () => {
    const values = secrets.includes('$1') ? [newSecret()] : []
    const array = secrets.replaceAll('$1', '$1::text')
    for (const insert of [
      `insert into webhook_project_secrets values ('q', ${array})`,
      `insert into webhook_endpoints (id, url, secrets) values (gen_random_uuid(), 'x', ${array})`,
    ]) {
      await assert.rejects(db.query(insert, values), { code: '23514' })
    }
  })
}

test('a secret that is made is 32 bytes of chance, and its fingerprint says nothing of it', () => {
  const [one, other] = [newSecret(), newSecret()]
  assert.ok(isSecret(one))
  assert.equal(Buffer.from(one.slice(6), 'base64').length, 32)
  assert.notEqual(one, other)
  assert.match(fingerprintOf(one), /^[\da-f]{16}$/)
})

for (const payload of ['{"n": 1,  "m":2}', JSON.stringify({ text: 'ü 🎉 \u2028 "' })]) {
  test(`each attempt is signed anew over its id, its timestamp and the bytes that are sent: ${payload}`, async (t) => {
    const hooks = await receiver(t)
    const secrets = [newSecret(), newSecret()]
    const eventId = '0b7f7a0e-58c3-4c0e-9a53-7d3f0a2a6c11'
    const delivery = { url: hooks.url(), eventId, attempt: 1, payload, secrets }
    assert.equal((await sender.send(delivery)).kind, 'answered')
    const { headers, rawBody } = hooks.requests[0]!
    const signature = String(headers['webhook-signature'])
    assert.match(signature, /^v1,[A-Za-z0-9+/]{43}= v1,[A-Za-z0-9+/]{43}=$/)
    const at = new Date(Number(headers['webhook-timestamp']) * 1000)
    assert.equal(signature, secrets.map((one) => new Webhook(one).sign(eventId, at, rawBody)).join(' '))
    const given = headers as Record<string, string>
    for (const one of secrets) new Webhook(one).verify(rawBody, given)
    assert.throws(() => new Webhook(newSecret()).verify(rawBody, given), /No matching signature/)
    assert.throws(() => new Webhook(secrets[0]!).verify(`${rawBody.toString()} `, given))
  })
}

test('without secrets there is no such header', async (t) => {
  const hooks = await receiver(t)
  await sender.send({ url: hooks.url(), eventId: 'a', attempt: 1, payload: '{}' })
  assert.ok(!('webhook-signature' in hooks.requests[0]!.headers))
})

test('with a secret that is none nothing is sent, and the error does not quote it', async (t) => {
  const hooks = await receiver(t)
  const delivery = { url: hooks.url(), eventId: 'a', attempt: 1, payload: '{}', secrets: ['whsec_CANARY!'] }
  const exchange = await sender.send(delivery)
  assert.equal(exchange.kind, 'failed')
  assert.match(exchange.error, /^nothing was sent: a signing secret .* is not valid$/)
  assert.equal(hooks.requests.length, 0)
})
