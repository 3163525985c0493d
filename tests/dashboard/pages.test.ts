import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, describe, test } from 'node:test'
import { createApp } from '../../src/api/app.ts'
import { callerOf, createTestApi, noSender, testConfig } from '../api/support.ts'
import { onCleanup } from '../support/cleanup.ts'
import { clear, endpoint, open, owe, receiver } from '../support/endpoints.ts'
import { eventOf, putEvent, putTicket } from '../support/events.ts'
import { connect, kyselyOver } from '../../src/database/connection.ts'
import { checkHealth } from '../../src/observe/health.ts'

const api = await createTestApi({ after })
const { database } = api
const origin = { origin: 'http://localhost', host: 'localhost' }

const get = (path: string) => api.call('GET', path)
const post = (path: string, fields: Record<string, string> = {}, headers: Record<string, string> = origin) =>
  api.call('POST', path, undefined, {
    raw: new URLSearchParams(fields).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  })

const audited = async () =>
  (
    await database.query<{ entry: string }>(
      `select actor || ' ' || action || ' ' || target as entry from webhook_audit order by id`,
    )
  ).map(({ entry }) => entry)

const idOf = async (url: string) =>
  (await database.query<{ id: string }>('select md5($1)::uuid as id', [url]))[0]!.id

test('every page answers with HTML, under a policy without inline script or style and without other hosts', async () => {
  const event = await putEvent(database)
  await endpoint(database, 'http://127.0.0.1:9/pages')
  const paths = ['/', '/deliveries', `/deliveries/${event}`, '/endpoints', '/operations', '/agents', '/audit']
  for (const path of [
    ...paths,
    `/endpoints/${await idOf('http://127.0.0.1:9/pages')}`,
    '/bulk/replay',
    '/bulk/discard',
  ]) {
    const answer = await get(path)
    assert.equal(answer.status, 200, `${path}: ${answer.text}`)
    assert.match(answer.headers.get('content-type')!, /^text\/html/)
    const policy = answer.headers.get('content-security-policy')!
    assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self'/)
    assert.doesNotMatch(policy, /unsafe|http|\*/)
    assert.doesNotMatch(answer.text, /<script(?! type="module" src="\/assets\/)|<style|\sstyle=|\son\w+=/)
    assert.doesNotMatch(answer.text, /(?:src|href)="(?:https?:)?\/\//)
  }
})

test('what a page loads is named by its content and kept for a year', async () => {
  const { text } = await get('/')
  const paths = [...text.matchAll(/"(\/assets\/[^"]+)"/g)].map(([, path]) => path!)
  assert.equal(new Set(paths).size, 3)
  for (const path of new Set(paths)) {
    const answer = await get(path)
    assert.equal(answer.status, 200, path)
    assert.match(answer.headers.get('cache-control')!, /max-age=31536000, immutable/)
  }
})

describe('the overview', () => {
  test('says first what is wrong: who does not answer, since when, and what next', async () => {
    await clear(database)
    const url = 'http://127.0.0.1:9/down'
    await endpoint(database, url, { ...open, last_error: `'503 Service Unavailable'` })
    await owe(database, url, 3)
    const { text } = await get('/')
    assert.match(text, /<h1 class="trouble">1 endpoint does not answer<\/h1>/)
    assert.match(text, /3 events are owed to 1 endpoint; the oldest has been due for 1 min/)
    assert.match(text, /503 Service Unavailable/)
    assert.match(text, /<time [^>]+><span>\d\d:\d\d:\d\d UTC<\/span> <small>1 min ago/)
    assert.match(text, /Get the receiver fixed/)
  })

  test('says that all is well where it is', async () => {
    await clear(database)
    const { text } = await get('/')
    assert.match(text, /<h1 class="well">All is well: nothing was sent yet<\/h1>/)
    assert.match(text, /Nothing is owed/)
    await endpoint(database, 'http://127.0.0.1:9/well')
    assert.match((await get('/')).text, /<h1 class="well">All is well<\/h1>/)
  })

  test('has a banner where no dispatcher runs', async (t) => {
    const alone = await createTestApi(t, { health: () => checkHealth(kyselyOver(database.pool)) })
    const { text } = await alone.call('GET', '/')
    assert.match(text, /Nothing is sent: no dispatcher runs/)
    assert.match(text, /role="alert"[^>]*>.*Next.*start the service with ROLE=all/s)
  })

  test('draws the minutes of the last hour, those that were kept too', async (t) => {
    const drawing = await createTestApi(t)
    const at = (minutes: number) => new Date(Date.now() - minutes * 60_000)
    const settle = async (outcome: 'delivered' | 'dead', minutes: number, n: number) => {
      for (let i = 0; i < n; i++) {
        await putEvent(drawing.database, { outcome, created_at: at(minutes + 1), settled_at: at(minutes) })
      }
    }
    await settle('delivered', 30, 2)
    await settle('dead', 20, 1)
    await settle('delivered', 90, 1)
    const seen = async () =>
      /aria-label="(Delivered and dead[^"]+)"/.exec((await drawing.call('GET', '/')).text)?.[1]
    assert.match((await seen())!, /: 2 delivered, 1 dead, at most 2 a minute/)
    await settle('dead', 0, 1)
    assert.match((await seen())!, /: 2 delivered, 2 dead/)
  })
})

describe('the overview, by what events died of', () => {
  test('names the error, how many, where to, of whom, and when first and last', async (t) => {
    const dying = await createTestApi(t)
    const at = (minutes: number) => new Date(Date.now() - minutes * 60_000)
    for (const [minutes, project_id] of [
      [50, 'p1'],
      [40, 'p2'],
      [3 * 24 * 60, 'long ago'],
    ] as const) {
      const settled = { settled_at: at(minutes), created_at: at(minutes + 1) }
      await putEvent(dying.database, { ...settled, project_id, last_error: '404 Not Found' })
    }
    const { text } = await dying.call('GET', '/')
    const row = /<tr data-key="[^"]+ 404 Not Found">.*?<\/tr>/s.exec(text)![0]
    assert.match(row, /href="\/deliveries\?state=dead&amp;endpoint_id=[\w-]+&amp;error=404\+Not\+Found"/)
    assert.match(row, /data-label="Events">2</)
    assert.match(row, /p1 and p2/)
    assert.match(row, /50 min ago.*40 min ago/)
    assert.match(text, /<h1 class="trouble">1 endpoint|<h1 class="trouble">2 events died in the last hour/)
  })
})

describe('deliveries', () => {
  test('are filtered by the URL, without the empty fields that a form sends', async () => {
    const answer = await get('/deliveries?state=dead&event_type=&task_id=&from=2026-01-01T10%3A00')
    assert.equal(answer.status, 303)
    assert.equal(answer.headers.get('location'), '/deliveries?state=dead&from=2026-01-01T10%3A00Z')
  })

  test('are paged by keyset, and the link to older ones keeps the filter', async () => {
    const task = randomUUID()
    for (let i = 0; i < 51; i++) await putEvent(database, { task_id: task, created_at: new Date(i * 1000) })
    const first = await get(`/deliveries?task_id=${task}`)
    assert.equal(first.text.match(/<tr data-key/g)?.length, 50)
    const older = /href="([^"]+)" rel="next"/.exec(first.text)![1]!.replaceAll('&amp;', '&')
    assert.match(older, new RegExp(`^/deliveries\\?task_id=${task}&cursor=`))
    const second = await get(older)
    assert.equal(second.text.match(/<tr data-key/g)?.length, 1)
    assert.match(second.text, new RegExp(`href="/deliveries\\?task_id=${task}">Newest`))
  })

  test('that a filter cannot mean are refused in words', async () => {
    const answer = await get('/deliveries?state=lost')
    assert.equal(answer.status, 422)
    assert.match(answer.text, /must be one of pending, delivering/)
  })

  test('are found by the webhook-id that a receiver names', async () => {
    const id = randomUUID()
    const found = await get(`/deliveries?state=&event_id=%20${id.toUpperCase()}%20`)
    assert.equal(found.status, 303)
    assert.equal(found.headers.get('location'), `/deliveries/${id}`)
    const none = await get('/deliveries?event_id=task-1')
    assert.equal(none.status, 200)
    assert.match(none.text, /role="alert">\s*An event id is a UUID/)
    assert.match(none.text, /name="event_id" type="text" value="task-1"/)
  })

  test('show the time of a filter in UTC, whatever zone its URL has', async () => {
    const { text } = await get('/deliveries?from=2026-01-01T01%3A30%3A05%2B02%3A00')
    assert.match(text, /name="from" type="datetime-local" value="2025-12-31T23:30:05"/)
  })

  test('that wait for their endpoint say so', async (t) => {
    const waiting = await createTestApi(t)
    for (const [path, columns] of [
      ['open', open],
      ['paused', { paused_at: 'now()' }],
    ] as const) {
      const url = `http://127.0.0.1:9/${path}`
      await endpoint(waiting.database, url, columns)
      await owe(waiting.database, url)
    }
    const { text } = await waiting.call('GET', '/deliveries')
    assert.match(text, /endpoint does not answer/)
    assert.match(text, /endpoint is paused/)
    const list = (await waiting.call('GET', '/endpoints')).text
    assert.match(list, /<title>Endpoints: 1 not answering · /)
    assert.match(list, /Not answering.*Paused/s)
    const one = await waiting.call('GET', `/deliveries?endpoint_id=${await idOf('http://127.0.0.1:9/open')}`)
    assert.match(one.text, /<title>Deliveries: to http:\/\/127\.0\.0\.1:9\/open · /)
  })

  test('show no query of a URL, nowhere', async () => {
    const url = 'http://user:hunter2@127.0.0.1:9/q?token=hunter2#hunter2'
    const id = await putEvent(database, { url, last_error: 'refused' })
    for (const path of [`/deliveries/${id}`, '/deliveries', '/']) {
      assert.doesNotMatch((await get(path)).text, /hunter2/, path)
    }
  })
})

describe('a delivery', () => {
  test('shows its attempts, its bytes, and itself as a curl command that a shell takes for what it is', async () => {
    const id = await putEvent(database, { payload: `{"a":  "it's", "n": 12345678901234567890}` })
    await database.query(
      `insert into webhook_attempts values ($1, 4, '2026-01-01T00:00:05Z', 12, 503, '503 Service Unavailable', 'down')`,
      [id],
    )
    const { text } = await get(`/deliveries/${id}`)
    assert.match(text, /Attempt 4/)
    assert.match(text, /webhook-timestamp: 1767225605/)
    const curl = /<pre id="curl"[^>]*>([^<]+)<\/pre>/.exec(text)![1]!
    assert.ok(curl.includes(`it&#39;\\&#39;&#39;s&quot;, &quot;n&quot;: 12345678901234567890}&#39;`), curl)
    assert.ok(curl.includes(`-H &#39;webhook-id: ${id}&#39;`), curl)
  })

  test('is replayed by its form, and that is in the audit', async () => {
    const id = await putEvent(database, await putTicket(database, { url: 'http://127.0.0.1:9/again' }))
    const answer = await post(`/deliveries/${id}/replay`)
    assert.equal(answer.status, 303, answer.text)
    assert.equal(answer.headers.get('location'), `/deliveries/${id}`)
    assert.equal((await eventOf(database, id)).state, 'pending')
    assert.ok((await audited()).includes(`anonymous delivery.replay deliveries/${id}`))
    const again = await post(`/deliveries/${id}/replay`)
    assert.equal(again.status, 409)
    assert.match(again.text, /role="alert"/)
  })

  test('is discarded with its reason', async () => {
    const id = await putEvent(database, { outcome: null })
    assert.equal((await post(`/deliveries/${id}/discard`, { reason: 'not wanted' })).status, 303)
    const { state, last_error } = await eventOf(database, id)
    assert.deepEqual([state, last_error], ['discarded', 'discarded by an operator: not wanted'])
    assert.ok((await audited()).includes(`anonymous delivery.discard deliveries/${id}`))
  })

  test('that is dead says whether it is tried again by itself, and when', async () => {
    const url = 'http://127.0.0.1:9/back'
    await endpoint(database, url, { owes_dead: 'true', recover_at: `now() + interval '90 seconds'` })
    const back = await putEvent(database, { url, recoverable: true })
    assert.match((await get(`/deliveries/${back}`)).text, /it is tried again by itself .*UTC \(in 1 min\)/s)
    const lost = await putEvent(database, { url })
    assert.match((await get(`/deliveries/${lost}`)).text, /it is not tried again by itself/)
  })

  test('opens what was answered last where that was a failure, and says how long each attempt waited', async () => {
    const id = await putEvent(database, { attempts: 2 })
    await database.query(
      `insert into webhook_attempts values ($1, 1, '2026-01-01T00:00:00Z', 12, 500, '500 Internal Server Error', 'first'),
         ($1, 2, '2026-01-01T00:00:01.5Z', 12, 503, '503 Service Unavailable', 'second')`,
      [id],
    )
    const { text } = await get(`/deliveries/${id}`)
    const opened = [...text.matchAll(/<details open[^>]*>(.*?)<\/details>/gs)].map(([, inside]) => inside!)
    assert.equal(opened.length, 1)
    assert.match(opened[0]!, /Response: 503.*second/s)
    assert.match(text, /2026-01-01 00:00:01 UTC \(.+ ago\)<\/time>, 2 s after the one before; took 12 ms/)
  })

  test('that is not there is a page with 404', async () => {
    const answer = await get(`/deliveries/${randomUUID()}`)
    assert.equal(answer.status, 404)
    assert.match(answer.text, /There is no delivery with this id/)
  })
})

test('what a filter selects is replayed after a look at its count, and the operation shows how far it is', async () => {
  const where = await putTicket(database, { url: 'http://127.0.0.1:9/bulk' })
  for (let i = 0; i < 3; i++) await putEvent(database, where)
  const { text } = await get(`/bulk/replay?ticket_id=${where.ticket_id}&state=dead`)
  assert.match(text, /<h1>Replay 3 events\?<\/h1>/)
  const hidden = [...text.matchAll(/type="hidden" name="(\w+)" value="([^"]*)"/g)]
  const fields = Object.fromEntries(hidden.map(([, name, value]) => [name!, value!]))
  assert.deepEqual(fields, { ticket_id: where.ticket_id, state: 'dead' })
  const started = await post('/bulk/replay', { ...fields, rate: '7' })
  assert.equal(started.status, 303, started.text)
  const path = started.headers.get('location')!
  const shown = await get(path)
  assert.match(shown.text, /Replay of 3 events/)
  assert.match(shown.text, /<progress max="3" value="0"/)
  assert.match(shown.text, /7 events a second/)
  assert.equal((await post(`${path}/cancel`)).status, 303)
  assert.match((await get(path)).text, /It was cancelled after 0 events/)
  const id = path.split('/')[2]!
  const entries = (await audited()).filter((entry) => entry.endsWith(`operations/${id}`))
  assert.deepEqual(entries, [
    `anonymous replays.start operations/${id}`,
    `anonymous operation.cancel operations/${id}`,
  ])
})

test('an endpoint is paused, tested and resumed, and shows the exchange', async (t) => {
  const tea = await receiver(t, { status: 418, body: 'short & <stout>' })
  await endpoint(database, tea.url('/tea'))
  const path = `/endpoints/${await idOf(tea.url('/tea'))}`
  assert.equal((await post(`${path}/pause`, { reason: 'tea time' })).status, 303)
  assert.match((await get(path)).text, /Paused \(<bdi>tea time<\/bdi>\) since <time/)
  const tested = await post(`${path}/test`)
  assert.equal(tested.status, 200, tested.text)
  assert.match(tested.text, /The test was not delivered/)
  assert.match(tested.text, /short &amp; &lt;stout&gt;/)
  assert.match(tested.text, new RegExp(`data-live="${path}"`))
  assert.equal((await get(`${path}/test`)).status, 303)
  assert.equal((await post(`${path}/resume`)).status, 303)
  assert.doesNotMatch((await get(path)).text, /Paused \(/)
  const entries = (await audited()).filter((entry) => entry.endsWith(path.slice(1)))
  assert.deepEqual(
    entries.map((entry) => entry.split(' ')[1]),
    ['endpoint.pause', 'endpoint.test', 'endpoint.resume'],
  )
})

test('an endpoint says since when, for whom and what next, and what operators did to it', async () => {
  const url = 'http://127.0.0.1:9/said'
  await endpoint(database, url, { ...open, failures: '12', last_error: `'503 Service Unavailable'` })
  await owe(database, url, 2, { project_id: `'p' || n` })
  const path = `/endpoints/${await idOf(url)}`
  await post(`${path}/pause`, { reason: 'a while' })
  await post(`${path}/resume`)
  await database.query(`update webhook_endpoints set breaker = 'open' where url = $1`, [url])
  const { text } = await get(path)
  assert.match(text, /It has not answered as it should since <time[^>]+>[^<]*UTC \(/)
  assert.match(text, /2 events of <bdi>p1 and p2<\/bdi> wait/)
  assert.match(text, /each is kept for 14d/)
  assert.match(text, /1s, 2s, 4s, as for all endpoints \(RETRY_SCHEDULE\)/)
  assert.match(text, /<b>Next:<\/b> Get the receiver fixed/)
  assert.match(text, /Resumed it.*Paused it.*Reason: a while/s)
  const replay = await get(`/bulk/discard?endpoint_id=${path.split('/')[2]}`)
  assert.match(replay.text, /127\.0\.0\.1:9\/said<\/bdi><\/a>, which does not answer: they wait/)
})

test('the audit says who did what to what, and is filtered by the URL', async () => {
  const id = await putEvent(database, { outcome: null })
  await post(`/deliveries/${id}/discard`, { reason: 'for the audit' })
  const all = await get('/audit')
  assert.match(
    all.text,
    new RegExp(`Discarded an event.*href="/deliveries/${id}".*Reason: for the audit`, 's'),
  )
  const some = await get('/audit?actor=&action=delivery.discard&target=')
  assert.equal(some.headers.get('location'), '/audit?action=delivery.discard')
  const { text } = await get('/audit?action=endpoint.test&actor=nobody')
  assert.match(text, /Nothing that was done fits this filter/)
  assert.match(text, /<option value="endpoint.test" selected[^>]*>Sent a test/)
})

test('stuck agents are shown with the tasks that they hold, and those that are stuck no more', async (t) => {
  const stuck = await createTestApi(t)
  await stuck.database.query(`
    insert into agents (id, last_heartbeat) values ('a1', now() - interval '5 minutes'), ('a2', now());
    insert into agent_stuck_episodes (agent_id, reason, started_at, ended_at) values
      ('a1', 'no_heartbeat', now() - interval '4 minutes', null), ('a2', 'loops', now() - interval '1 hour', now() - interval '30 minutes');
    insert into tasks (id, title, status, assigned_agent_id) select 't' || n, 't', 'running', 'a1' from generate_series(1, 4) n`)
  const { text } = await stuck.call('GET', '/agents')
  assert.match(text, /<h1>1 agent is stuck<\/h1>/)
  assert.match(text, /task_id=t1".*task_id=t3".* and more/s)
  assert.match(text, /<bdi>a2<\/bdi>.*<bdi>loops<\/bdi>.*>30 min<.*30 min ago/s)
  assert.match((await stuck.call('GET', '/')).text, /1 agent is stuck/)
})

test("an endpoint's own headers are shown by name, and never by value", async () => {
  await endpoint(database, 'http://127.0.0.1:9/headers', { headers: `'{"x-key": "hunter2"}'` })
  const { text } = await get(`/endpoints/${await idOf('http://127.0.0.1:9/headers')}`)
  assert.match(text, /x-key \(values hidden\)/)
  assert.doesNotMatch(text, /hunter2/)
})

test('nothing is changed by a form of another site, or of none', async () => {
  const id = await putEvent(database, await putTicket(database, { url: 'http://127.0.0.1:9/x' }))
  for (const headers of [
    { host: 'localhost' },
    { host: 'localhost', origin: 'null' },
    { host: 'localhost', origin: 'https://evil.example' },
    { host: 'localhost', origin: 'http://localhost:3001' },
    { host: 'localhost', origin: 'http://localhost', 'sec-fetch-site': 'cross-site' },
    { host: 'localhost', origin: 'http://localhost', 'sec-fetch-site': 'same-site' },
  ]) {
    const answer = await post(`/deliveries/${id}/replay`, {}, headers)
    assert.equal(answer.status, 403, JSON.stringify(headers))
  }
  assert.equal((await eventOf(database, id)).state, 'dead')
})

test('without its database a page says so, and the log has it', async (t) => {
  const gone = connect('postgres://nobody@127.0.0.1:1/nothing')
  onCleanup(t, () => gone.destroy())
  const logged: string[] = []
  const note = (_: object, message: string) => void logged.push(message)
  const health = () =>
    Promise.resolve({ status: 'failing' as const, checks: { database: { status: 'failing' as const } } })
  const options = { db: gone, config: testConfig, sender: noSender, version: '0', health }
  const call = callerOf(createApp({ ...options, log: { warn: note, error: note } }))
  for (const path of ['/', '/deliveries', `/deliveries/${randomUUID()}`, '/endpoints', '/agents', '/audit']) {
    const answer = await call('GET', path)
    assert.equal(answer.status, 503, path)
    assert.match(answer.headers.get('content-type')!, /^text\/html/)
    assert.match(answer.text, /<h1>Service Unavailable<\/h1>/)
  }
  assert.ok(logged.length >= 5)
})

test('without tokens a page is shown under a loopback Host only', async () => {
  for (const path of ['/', '/deliveries', '/endpoints']) {
    const answer = await api.call('GET', path, undefined, { headers: { host: 'evil.example' } })
    assert.equal(answer.status, 403)
    assert.doesNotMatch(answer.text, /<table/)
  }
})
