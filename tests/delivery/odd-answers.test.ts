import assert from 'node:assert/strict'
import test from 'node:test'
import { judge, type Verdict } from '../../src/delivery/verdict.ts'
import { eventually } from '../support/eventually.ts'
import {
  bytesReceiver,
  deliveryTo,
  expectKind,
  httpReceiver,
  onRequest,
  sender,
  tcpReceiver,
} from './receivers.ts'

/** Answers as bytes on a real socket, and what follows from them. */
const limits = { timeout: 10_000 }
const EMPTY = 'content-length: 0\r\n\r\n'
const OK = `HTTP/1.1 200 OK\r\n`

const odd: [name: string, verdict: Verdict['kind'], bytes: string | Buffer][] = [
  ['no reason phrase and no space', 'delivered', `HTTP/1.1 200\r\n${EMPTY}`],
  ['a reason phrase of 10 KB', 'delivered', `HTTP/1.1 200 ${'x'.repeat(10_000)}\r\n${EMPTY}`],
  ['a reason phrase that says the contrary', 'retry', `HTTP/1.1 500 OK\r\n${EMPTY}`],
  ['a reason phrase in another script', 'delivered', Buffer.from(`HTTP/1.1 200 好\r\n${EMPTY}`)],
  ['headers of 15 KB', 'delivered', `${OK}x: ${'y'.repeat(15_000)}\r\n${EMPTY}`],
  ['a thousand cookies', 'delivered', `${OK}${'set-cookie: a=b\r\n'.repeat(900)}${EMPTY}`],
  ['ten headers without a value', 'delivered', `${OK}${'x:\r\n'.repeat(10)}${EMPTY}`],
  [
    'a header called __proto__',
    'delivered',
    `${OK}__proto__: x\r\nconstructor: y\r\ntoString: z\r\n${EMPTY}`,
  ],
  ['a header value of bytes over 127', 'delivered', Buffer.from(`${OK}x: é好\r\n${EMPTY}`)],
  ['a header name with a space', 'retry', `${OK}x y: z\r\n${EMPTY}`],
  ['a header name of bytes over 127', 'retry', Buffer.from(`${OK}é: z\r\n${EMPTY}`)],
  ['a header without a name', 'retry', `${OK}: z\r\n${EMPTY}`],
  ['a NUL in a header', 'retry', `${OK}x: \0\r\n${EMPTY}`],
  ['a header that is folded', 'retry', `${OK}x: y\r\n z\r\n${EMPTY}`],
  ['bare line feeds', 'retry', 'HTTP/1.1 200 OK\ncontent-length: 0\n\n'],
  ['HTTP/0.9', 'retry', 'hello'],
  ['HTTP/2.0', 'delivered', `HTTP/2.0 200 OK\r\n${EMPTY}`],
  ['HTTP/9.9', 'retry', `HTTP/9.9 200 OK\r\n${EMPTY}`],
  ['the preface of HTTP/2', 'retry', Buffer.from('000012040000000000000300000064', 'hex')],
  ['a status of two digits', 'retry', `HTTP/1.1 20 OK\r\n${EMPTY}`],
  ['a status of four digits', 'retry', `HTTP/1.1 2000 OK\r\n${EMPTY}`],
  ['a negative status', 'retry', `HTTP/1.1 -200 OK\r\n${EMPTY}`],
  ['status 000', 'retry', `HTTP/1.1 000 Zero\r\n${EMPTY}`],
  ['100 and nothing more', 'retry', 'HTTP/1.1 100 Continue\r\n\r\n'],
  ['304', 'dead', `HTTP/1.1 304 Not Modified\r\n${EMPTY}`],
  ['205 with a body', 'delivered', `HTTP/1.1 205 Reset Content\r\ncontent-length: 2\r\n\r\nok`],
  [
    '206 that nobody asked for',
    'delivered',
    `HTTP/1.1 206 Partial\r\ncontent-range: bytes 0-0/9\r\n${EMPTY}`,
  ],
  ['a body that is not gzip', 'delivered', `${OK}content-encoding: gzip\r\ncontent-length: 2\r\n\r\nok`],
  ['an Alt-Svc', 'delivered', `${OK}alt-svc: h2="127.0.0.1:1"; ma=99999\r\n${EMPTY}`],
  ['an empty line before its status line', 'delivered', `\r\n${OK}${EMPTY}`],
]

for (const [name, verdict, bytes] of odd) {
  test(`${name}: ${verdict}`, limits, async (t) => {
    const receiver = await bytesReceiver(t, bytes)
    const exchange = await sender(t, { timeoutMs: 500 }).send(deliveryTo(receiver.url))
    assert.equal(judge(exchange).kind, verdict, JSON.stringify(exchange))
    assert.ok(exchange.durationMs < 550 + 250, `${exchange.durationMs} ms`)
  })
}

const keepAlives = [
  ...[
    'timeout=5',
    'timeout=5, max=100',
    'timeout=0',
    'timeout=-1',
    'timeout=1e99',
    'timeout=NaN',
    'timeout=',
  ],
  ...[
    'timeout=99999999999999999999999',
    'timeout=2147484',
    'max=0',
    'timeout="9"',
    'x',
    '',
    'timeout=1;timeout=2',
  ],
]

test('whatever Keep-Alive says, the next event is delivered', limits, async (t) => {
  for (const value of keepAlives) {
    const receiver = await tcpReceiver(t, (socket) =>
      onRequest(socket, () =>
        socket.write(`${OK}connection: keep-alive\r\nkeep-alive: ${value}\r\n${EMPTY}`),
      ),
    )
    const { send } = sender(t)
    for (let i = 0; i < 3; i += 1) {
      assert.equal(judge(await send(deliveryTo(receiver.url))).kind, 'delivered', value)
    }
  }
})

test('headers with strange names are nobody else’s', limits, async (t) => {
  const receiver = await bytesReceiver(
    t,
    `HTTP/1.1 503 No\r\n__proto__: x\r\nserver:\r\nretry-after: 7\r\nretry-after: 9\r\nlocation:\r\n${EMPTY}`,
  )
  const exchange = expectKind(await sender(t).send(deliveryTo(receiver.url)), 'answered')
  assert.equal(exchange.retryAfter, '7')
  assert.equal(exchange.location, '')
  assert.equal(({} as { x?: unknown }).x, undefined)
})

const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000)
const two = (n: number) => String(n).padStart(2, '0')
const imf = (at: Date) => at.toUTCString()
const parts = (at: Date) => /^(\w+), (\d+) (\w+) (\d+) (\S+) GMT$/.exec(at.toUTCString())!.slice(1)
const rfc850 = (at: Date) => {
  const [, day, month, year, time] = parts(at)
  const weekday = at.toLocaleDateString('en', { weekday: 'long', timeZone: 'UTC' })
  return `${weekday}, ${day}-${month}-${two(Number(year) % 100)} ${time} GMT`
}
const asctime = (at: Date) => {
  const [weekday, day, month, year, time] = parts(at)
  return `${weekday} ${month} ${String(Number(day)).padStart(2, ' ')} ${time} ${year}`
}

const DAY_MS = 86_400_000
const waits: [name: string, value: () => string, least: number | null, most: number | null][] = [
  ['seconds', () => '30', 30_000, 30_000],
  ['zero', () => '0', 0, 0],
  ['a date (IMF-fixdate)', () => imf(inSeconds(60)), 50_000, 60_000],
  ['a date (RFC 850)', () => rfc850(inSeconds(60)), 50_000, 60_000],
  ['a date (asctime)', () => asctime(inSeconds(60)), 50_000, 60_000],
  ['a date that is past', () => imf(inSeconds(-3_600)), 0, 0],
  ['a date in a hundred years', () => imf(inSeconds(36_500 * 86_400)), DAY_MS, DAY_MS],
  ['huge seconds', () => '9'.repeat(5_000), DAY_MS, DAY_MS],
  ['negative seconds', () => '-5', null, null],
  ['a fraction', () => '0.5', null, null],
  ['junk', () => 'soon; drop table', null, null],
  ['nothing', () => '', null, null],
]

for (const status of [429, 503]) {
  for (const [name, value, least, most] of waits) {
    test(`${status} with a Retry-After of ${name} is retried, ${least === null ? 'by the schedule' : 'not before'}`, async (t) => {
      const receiver = await httpReceiver(t, (response) => {
        response.writeHead(status, { 'retry-after': value() }).end()
      })
      const verdict = judge(await sender(t).send(deliveryTo(receiver.url)))
      assert.ok(verdict.kind === 'retry')
      if (least === null || most === null) assert.equal(verdict.waitAtLeastMs, null)
      else
        assert.ok(
          verdict.waitAtLeastMs! >= least && verdict.waitAtLeastMs! <= most,
          `${verdict.waitAtLeastMs}`,
        )
    })
  }
}

test('410 is dead, and pauses its endpoint', async (t) => {
  const receiver = await httpReceiver(t, (response) => response.writeHead(410, { 'retry-after': '5' }).end())
  const verdict = judge(await sender(t).send(deliveryTo(receiver.url)))
  assert.deepEqual(verdict, { kind: 'dead', error: '410 Gone', pauseEndpoint: true })
})

test('a receiver that redirects to itself for ever is asked once', async (t) => {
  const receiver = await httpReceiver(t, (response) => {
    response.writeHead(307, { location: receiver.url }).end()
  })
  const verdict = judge(await sender(t).send(deliveryTo(receiver.url)))
  assert.equal(verdict.kind, 'dead')
  assert.equal(receiver.requests.length, 1)
})

test('a name that flaps is delivered to whenever it resolves', limits, async (t) => {
  const receiver = await httpReceiver(t, (response) => response.setHeader('connection', 'close').end())
  const outcomes = [
    () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]),
    () => Promise.reject(Object.assign(new Error('flap'), { code: 'ENOTFOUND' })),
    () => Promise.reject(Object.assign(new Error('flap'), { code: 'EAI_AGAIN' })),
    () => Promise.resolve([]),
  ]
  let lookUps = 0
  const { send } = sender(t, { resolve: () => outcomes[lookUps++ % outcomes.length]!() })
  const kinds: string[] = []
  for (let i = 0; i < 8; i += 1) {
    kinds.push(judge(await send(deliveryTo(`http://hook.test:${receiver.port}/`))).kind)
  }
  const round = ['delivered', 'retry', 'retry', 'retry']
  assert.deepEqual(kinds, [...round, ...round])
})

test(
  'thousands of origins of one receiver cost no more sockets than may be',
  { timeout: 30_000 },
  async (t) => {
    const receiver = await tcpReceiver(t, (socket) => onRequest(socket, () => socket.write(`${OK}${EMPTY}`)))
    const resolve = () => Promise.resolve([{ address: '127.0.0.1', family: 4 }])
    const { send } = sender(t, { resolve, maxSockets: 16 })
    let most = 0
    let next = 0
    const worker = async () => {
      while (next < 3_000) {
        const exchange = await send(deliveryTo(`http://h${next++}.test:${receiver.port}/`))
        assert.equal(exchange.kind, 'answered')
        most = Math.max(most, receiver.sockets.filter(({ closed }) => !closed).length)
        if (receiver.sockets.length > 500)
          receiver.sockets.splice(0, 400).forEach((socket) => socket.destroy())
      }
    }
    await Promise.all(Array.from({ length: 8 }, worker))
    // The receiver learns of a closed socket a little later.
    await eventually(() => assert.ok(receiver.sockets.filter(({ closed }) => !closed).length <= 16))
    assert.ok(most >= 8 && most <= 16 * 4, `${most}`)
  },
)
