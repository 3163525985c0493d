import assert from 'node:assert/strict'
import { after, describe, test, type TestContext } from 'node:test'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { testConfig } from '../api/support.ts'
import { endpoint, open, receiver } from '../support/endpoints.ts'
import { eventOf, putEvent, putTicket } from '../support/events.ts'
import { seedTrouble } from './seed.ts'
import { openPage, startBrowser, startDashboard, type TestDashboard } from './support.ts'

const browser = await startBrowser({ after })
const full = await startDashboard({ after })
await seedTrouble(full.database, { owed: 200, settled: 4_000 })

const one = async ({ database }: TestDashboard, query: string) =>
  (await database.query<{ id: string }>(`select (${query} limit 1) as id`))[0]!.id

/** Every page, with something on it. */
const paths = [
  '/',
  '/deliveries',
  '/deliveries?state=dead&error=503',
  `/deliveries/${await one(full, `select event_id from webhook_history where outcome = 'dead' order by created_at desc`)}`,
  `/deliveries/${await one(full, 'select event_id from webhook_outbox where attempts = 1')}`,
  '/endpoints',
  `/endpoints/${await one(full, `select id from webhook_endpoints where breaker = 'open'`)}`,
  '/bulk/replay?state=dead',
  '/bulk/discard?project_id=project-1',
  '/operations',
  `/operations/${await one(full, 'select id from webhook_operations')}`,
  '/agents',
  '/audit',
  '/?window=7d',
  `/endpoints/${await one(full, `select id from webhook_endpoints where paused_at is not null`)}?window=24h`,
]

/** Looks at a page, which must do nothing wrong until the test ends. */
async function visit(t: TestContext, url: string, options: BrowserContextOptions = {}): Promise<Page> {
  const { page, wrong } = await openPage(t, browser, new URL(url).origin, options)
  t.after(() => assert.deepEqual(wrong, []))
  await page.goto(url)
  return page
}

/** What `page.evaluate` runs is text: the types of tests are those of Node, and know no document. */
const overflow = `document.documentElement.scrollWidth - document.documentElement.clientWidth`

describe('at 390 pixels and in the dark', () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    test(`no page scrolls sideways, and every text stands out from its ground (${colorScheme})`, async (t) => {
      const page = await visit(t, full.url, { viewport: { width: 390, height: 844 }, colorScheme })
      for (const path of paths) {
        await page.goto(full.url + path)
        assert.equal(await page.evaluate(overflow), 0, path)
        assert.deepEqual(await page.evaluate(faint), [], path)
      }
      const ground = await page.evaluate('getComputedStyle(document.body).backgroundColor')
      assert.equal(ground, colorScheme === 'dark' ? 'rgb(16, 17, 19)' : 'rgb(255, 255, 255)')
    })
  }
})

test('on a phone whatever is pressed is at least 40 pixels high', async (t) => {
  const page = await visit(t, full.url, { viewport: { width: 390, height: 844 } })
  for (const path of [...paths, '/login']) {
    await page.goto(full.url + path)
    assert.deepEqual(await page.evaluate(small), [], path)
  }
})

/** What acts and stands for itself, not within a text (WCAG 2.2, 2.5.8), with its height where that is too small. */
const small = `[...document.querySelectorAll(
  'button, summary, select, input:not([type=hidden]), nav a, .more a, .tiles a, .actions > a, .filter > a, tbody th > a, .brand')]
  .filter((one) => one.checkVisibility())
  .map((one) => [one.textContent.trim() || one.name, Math.round(one.getBoundingClientRect().height)])
  .filter(([, height]) => height < 40)
  .map((pair) => pair.join(' '))`

/** Texts whose contrast is below 4.5 (WCAG 2.2, 1.4.3), with it. */
const faint = `(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1)
    canvas.fillStyle = colour
    canvas.fillRect(0, 0, 1, 1)
    return [...canvas.getImageData(0, 0, 1, 1).data]
  }
  const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0)
  const groundOf = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const ground = rgba(getComputedStyle(at).backgroundColor)
      if (ground[3] === 255) return ground
    }
    return [255, 255, 255]
  }
  const found = new Set()
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '')
    if (!own || element.closest('svg, .skip') || !element.checkVisibility()) continue
    const [a, b] = [light(rgba(getComputedStyle(element).color)), light(groundOf(element))].sort((x, y) => y - x)
    const contrast = (a + 0.05) / (b + 0.05)
    if (contrast < 4.5) found.add(element.textContent.slice(0, 40) + ' ' + contrast.toFixed(2))
  }
  return [...found]
})()`

const attack = `"'><img src=x onerror=alert(1)><script>alert(2)</script><svg onload=alert(3)>`

test('what others wrote is text in every place: nothing of it runs, loads or is refused by the policy', async (t) => {
  const dashboard = await startDashboard(t)
  const { database } = dashboard
  const url = `javascript:alert(4)//${attack}`
  const ids = { entity_id: attack, task_id: attack, ticket_id: attack, project_id: attack, agent_id: attack }
  const event = {
    ...ids,
    event_type: attack,
    url,
    last_error: attack,
    payload: JSON.stringify({ [attack]: attack }),
  }
  const settled = await putEvent(database, { ...event, created_at: new Date() })
  const owed = await putEvent(database, { ...event, outcome: null, created_at: new Date() })
  for (const id of [settled, owed]) {
    await database.query(`insert into webhook_attempts values ($1, 1, now(), 5, 503, $2, $2)`, [id, attack])
  }
  await database.query(
    `insert into webhook_endpoints (id, url, paused_at, paused_reason, failures, failing_since, last_error, headers)
     values (md5($1)::uuid, $1, now(), $2, 3, now(), $2, jsonb_build_object($2::text, $2::text))`,
    [url.split(/[?#]/)[0], attack],
  )
  await database.query(`insert into agents (id, agent_type, status) values ($1, $1, $1)`, [attack])
  await database.query('insert into agent_stuck_episodes (agent_id, reason) values ($1, $1)', [attack])
  await database.query(
    `insert into agent_stuck_episodes (agent_id, reason, started_at, ended_at) values ($1, $1, now() - interval '1 hour', now())`,
    [attack],
  )
  await database.query(
    `insert into tasks (id, title, status, assigned_agent_id) values ($1, $1, 'running', $1)`,
    [attack],
  )
  await database.query(
    `insert into webhook_audit (actor, action, target, detail)
     select $1, $1, target, jsonb_build_object($1::text, $1::text, 'filter', jsonb_build_object('error', $1::text))
     from unnest(array[$1, 'endpoints/' || $1, 'projects/' || $1, 'deliveries/' || $1]) target`,
    [attack],
  )
  await database.query(
    `insert into webhook_operations (kind, filter, matched, rate, requested_by, reason, error, state, started_at, finished_at,
       skipped, skipped_reasons)
     values ('discard', jsonb_build_object('task_id', $1::text, 'error', $1::text), 9, 1, $1, $1, $1, 'failed', now(), now(), 1,
       jsonb_build_object($1::text, 1))`,
    [attack],
  )
  const page = await visit(t, dashboard.url)
  const query = new URLSearchParams({ ...ids, event_type: attack, error: attack })
  query.delete('entity_id')
  query.delete('agent_id')
  const search = query.toString()
  for (const path of [
    ...['/', '/deliveries', `/deliveries?${search}`, `/deliveries/${settled}`, `/deliveries/${owed}`],
    ...[
      '/endpoints',
      '/operations',
      '/agents',
      '/audit',
      `/audit?${new URLSearchParams({ actor: attack, action: attack, target: attack }).toString()}`,
      `/bulk/replay?${search}`,
      `/deliveries?state=${encodeURIComponent(attack)}`,
    ],
    `/endpoints/${await one(dashboard, 'select id from webhook_endpoints')}`,
    `/operations/${await one(dashboard, 'select id from webhook_operations')}`,
  ]) {
    await page.goto(dashboard.url + path)
    assert.equal(await page.locator('img:not([src^="/assets/"]), main script, svg[onload]').count(), 0, path)
    assert.equal(await page.locator('a[href^="javascript" i]').count(), 0, path)
    // A state that is none is refused, and not repeated.
    const shown = (await page.locator('main').textContent()) ?? ''
    assert.equal(shown.includes('onerror=alert(1)'), !path.startsWith('/deliveries?state='), path)
    assert.equal(await page.evaluate(overflow), 0, path)
  }
})

describe('by keyboard only', () => {
  /** Tab until the element with this role and name has the focus; each stop must show it. */
  async function tabTo(page: Page, name: string): Promise<void> {
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press('Tab')
      const at = await page.evaluate<{ name: string; visible: boolean; tag: string }>(`(() => {
        const at = document.activeElement
        const { outlineStyle, outlineWidth } = getComputedStyle(at)
        const label = at.labels?.[0]?.textContent ?? at.textContent
        return { name: label.trim(), visible: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2, tag: at.tagName }
      })()`)
      if (at.tag !== 'BODY') assert.ok(at.visible, `the focus is seen on ${at.tag} ${at.name}`)
      if (at.name.startsWith(name)) return
    }
    assert.fail(`${name} is not reached by Tab`)
  }

  test('the first stop skips to the content, and the sections follow in order', async (t) => {
    const page = await visit(t, full.url)
    await tabTo(page, 'Skip to content')
    await page.keyboard.press('Enter')
    assert.equal(await page.evaluate('document.activeElement.id'), 'main')
    await page.goto(full.url)
    const order = []
    for (let i = 0; i < 8; i++) {
      await page.keyboard.press('Tab')
      order.push(await page.evaluate('document.activeElement.textContent.trim()'))
    }
    assert.deepEqual(order, [
      ...['Skip to content', 'webhook-outbox', 'Overview', 'Deliveries', 'Endpoints', 'Operations', 'Agents'],
      'Audit',
    ])
  })

  test('a dead event is found and replayed', async (t) => {
    const dashboard = await startDashboard(t)
    const where = await putTicket(dashboard.database, { url: 'http://127.0.0.1:9/keys' })
    const dead = { ...where, task_id: 'by-keys', last_error: '404 Not Found', created_at: new Date() }
    const id = await putEvent(dashboard.database, dead)
    const page = await visit(t, dashboard.url)
    await tabTo(page, '404 Not Found')
    await page.keyboard.press('Enter')
    await page.waitForURL('**/deliveries?state=dead&*')
    await tabTo(page, 'task.completed by-keys')
    await page.keyboard.press('Enter')
    await page.waitForURL(`**/deliveries/${id}`)
    await tabTo(page, 'Replay')
    await page.keyboard.press('Enter')
    await page.getByText('Nothing was sent yet').or(page.getByText('It is due')).first().waitFor()
    assert.equal((await eventOf(dashboard.database, id)).state, 'pending')
  })

  test('what is owed is discarded with a reason', async (t) => {
    const dashboard = await startDashboard(t)
    const id = await putEvent(dashboard.database, { outcome: null })
    const page = await visit(t, `${dashboard.url}/deliveries/${id}`)
    await tabTo(page, 'Discard…')
    await page.keyboard.press('Enter')
    await tabTo(page, 'Reason')
    await page.keyboard.type('no longer wanted')
    await page.keyboard.press('Enter')
    await page.getByText('no longer wanted').waitFor()
    assert.equal((await eventOf(dashboard.database, id)).state, 'discarded')
  })

  test('an endpoint is paused, tested and resumed', async (t) => {
    const dashboard = await startDashboard(t)
    const tried = await receiver(t, { status: 200, body: 'fine' })
    await endpoint(dashboard.database, tried.url('/keys'))
    const path = `/endpoints/${await one(dashboard, 'select id from webhook_endpoints')}`
    const page = await visit(t, dashboard.url + path)
    await tabTo(page, 'Pause…')
    await page.keyboard.press('Enter')
    await tabTo(page, 'Pause it')
    await page.keyboard.press('Enter')
    await page.getByText('Paused (paused by an operator) since').waitFor()
    await tabTo(page, 'Send a test')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'The test was delivered' }).waitFor()
    assert.equal(tried.requests.length, 1)
    await tabTo(page, 'Resume')
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Resume' }).waitFor({ state: 'detached' })
  })

  test('all that a filter selects is replayed, and cancelled', async (t) => {
    const dashboard = await startDashboard(t)
    const where = await putTicket(dashboard.database, { url: 'http://127.0.0.1:9/keys' })
    for (let i = 0; i < 3; i++) await putEvent(dashboard.database, where)
    const page = await visit(t, `${dashboard.url}/deliveries`)
    await tabTo(page, 'Dead')
    await page.keyboard.press('Enter')
    await page.waitForURL('**/deliveries?state=dead')
    await tabTo(page, 'Replay all of these…')
    await page.keyboard.press('Enter')
    await page.waitForURL('**/bulk/replay?*')
    await tabTo(page, 'Replay 3 events')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Replay of 3 events' }).waitFor()
    await tabTo(page, 'Cancel what is left')
    await page.keyboard.press('Enter')
    await page.getByText('It was cancelled after 0 events').waitFor()
  })
})

describe('to a screen reader', () => {
  test('every page has one first heading, named landmarks, headed tables and a name for whatever acts', async (t) => {
    const page = await visit(t, full.url)
    for (const path of paths) {
      await page.goto(full.url + path)
      assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1, path)
      assert.equal(await page.getByRole('main').count(), 1, path)
      assert.equal(await page.getByRole('banner').count(), 1, path)
      assert.equal(await page.getByRole('navigation', { name: 'Sections' }).count(), 1, path)
      assert.match(await page.title(), / · webhook-outbox$/)
      for (const role of ['link', 'button', 'textbox', 'combobox', 'progressbar', 'img'] as const) {
        const all = page.getByRole(role)
        const named = page.getByRole(role, { name: /\S/ })
        assert.equal(await named.count(), await all.count(), `${path}: each ${role} has a name`)
      }
      const levels = await page.evaluate<number[]>(
        `[...document.querySelectorAll('h1, h2, h3')].map((one) => Number(one.tagName[1]))`,
      )
      assert.ok(
        levels.every((level, i) => level - (levels[i - 1] ?? 0) <= 1),
        `${path}: no level is skipped of ${levels.join(' ')}`,
      )
      for (const table of await page.getByRole('table').all()) {
        assert.ok((await table.getByRole('columnheader').count()) >= 3, path)
        assert.ok((await table.getByRole('rowheader').count()) >= 1, path)
      }
    }
  })

  test('a table whose rows are cards on a phone is a table still', async (t) => {
    const page = await visit(t, full.url, { viewport: { width: 390, height: 844 } })
    for (const path of ['/endpoints', '/deliveries', '/agents', '/audit']) {
      await page.goto(full.url + path)
      const table = page.getByRole('table').first()
      assert.ok((await table.getByRole('columnheader').count()) >= 3, path)
      assert.ok((await table.getByRole('rowheader').count()) >= 1, path)
      assert.ok((await table.getByRole('cell').count()) >= 2, path)
    }
  })

  test('the overview reads as what it is', async (t) => {
    const page = await visit(t, full.url)
    const tree = await page.locator('main').ariaSnapshot()
    for (const line of [
      /status:\n\s+- heading "1 endpoint does not answer" \[level=1\]/,
      /list "And besides":\n\s+- listitem: 2 agents are stuck\n\s+- listitem: 1 endpoint is paused/,
      /img "Delivered and dead per minute in the last hour: \d[\d,]* delivered, \d+ dead/,
      /img "From change to delivery, by the minute: at \d\d:\d\d UTC half within .+, 99 of 100 within/,
      /heading "Endpoints in trouble \(3\)" \[level=2\]/,
      /columnheader "What next"/,
      /link "https:\/\/pager\.example\.net\/v2\/events"/,
      /progressbar "Progress"/,
    ]) {
      assert.match(tree, line)
    }
  })
})

describe('live', () => {
  test('a new event shows without a reload, and what was opened and focused stays so', async (t) => {
    const dashboard = await startDashboard(t)
    const { database } = dashboard
    await putEvent(database, { task_id: 'older', created_at: new Date() })
    const page = await visit(t, `${dashboard.url}/deliveries`)
    await page.evaluate('window.loaded = 1')
    await page.getByText('More filters').click()
    await page.getByRole('link', { name: 'task.completed older' }).focus()
    await putEvent(database, { task_id: 'newer', created_at: new Date() })
    await page.getByRole('link', { name: 'task.completed newer' }).waitFor()
    assert.equal(await page.evaluate('window.loaded'), 1)
    assert.match(String(await page.evaluate('document.activeElement.textContent')), /older/)
    assert.equal(await page.locator('details[open]').count(), 1)
    assert.equal(await page.locator('#live').textContent(), 'Live')
  })

  test('what was closed stays closed, although the server would show it open', async (t) => {
    const dashboard = await startDashboard(t)
    const id = await putEvent(dashboard.database, { created_at: new Date() })
    const attempt = (n: number) =>
      dashboard.database.query(`insert into webhook_attempts values ($1, $2, now(), 5, 503, '503', 'down')`, [
        id,
        n,
      ])
    await attempt(1)
    const page = await visit(t, `${dashboard.url}/deliveries/${id}`)
    assert.equal(await page.locator('details[open]').count(), 1)
    await page.getByText('Response and request').click()
    await attempt(2)
    await page.getByText('Attempt 2').waitFor()
    const opened = await page.evaluate(
      `[...document.querySelectorAll('.timeline details')].map((one) => one.open)`,
    )
    assert.deepEqual(opened, [true, false])
  })

  test('the overview tells of an endpoint that fails, as it happens', async (t) => {
    const dashboard = await startDashboard(t)
    const page = await visit(t, dashboard.url)
    await page.getByRole('heading', { name: 'All is well' }).waitFor()
    await endpoint(dashboard.database, 'http://127.0.0.1:9/live', open)
    await page.getByRole('heading', { name: '1 endpoint does not answer' }).waitFor()
    assert.match(await page.title(), /^1 endpoint does not answer/)
  })

  test('it rests while the tab is hidden, and looks at once when it is seen again', async (t) => {
    const dashboard = await startDashboard(t)
    const page = await visit(t, `${dashboard.url}/agents`)
    await page.clock.install()
    await page.goto(dashboard.url)
    const hide = (hidden: boolean) =>
      page.evaluate(`
        Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true })
        document.dispatchEvent(new Event('visibilitychange'))`)
    const looked = page.waitForResponse(dashboard.url + '/')
    await page.clock.runFor(3_500)
    await looked
    await hide(true)
    await page.getByText('Paused', { exact: true }).waitFor()
    const asked: string[] = []
    page.on('request', (request) => asked.push(request.url()))
    await page.clock.runFor(60_000)
    assert.deepEqual(asked, [])
    await endpoint(dashboard.database, 'http://127.0.0.1:9/seen', open)
    await hide(false)
    await page.getByRole('heading', { name: '1 endpoint does not answer' }).waitFor()
  })

  test('it says so where the service is away, and goes on when it is back', async (t) => {
    const dashboard = await startDashboard(t)
    const { page } = await openPage(t, browser, dashboard.url)
    await page.goto(dashboard.url)
    await page.route('**/*', (route) => route.abort())
    await page.getByText('No connection: trying again').waitFor()
    await page.unroute('**/*')
    await page.locator('#live', { hasText: /^Live$/ }).waitFor()
  })

  test('without script a page is whole, and its forms work', async (t) => {
    const dashboard = await startDashboard(t)
    const where = await putTicket(dashboard.database, { url: 'http://127.0.0.1:9/plain' })
    const id = await putEvent(dashboard.database, where)
    const page = await visit(t, `${dashboard.url}/deliveries/${id}`, { javaScriptEnabled: false })
    await page.getByRole('button', { name: 'Replay' }).click()
    await page.getByText('It is due').or(page.getByText('no dispatcher runs')).first().waitFor()
    assert.equal((await eventOf(dashboard.database, id)).state, 'pending')
    assert.equal(await page.getByRole('button', { name: 'Copy' }).count(), 0)
  })
})

test('a delivery is copied as curl', async (t) => {
  const dashboard = await startDashboard(t)
  const id = await putEvent(dashboard.database)
  const permissions = ['clipboard-read', 'clipboard-write']
  const page = await visit(t, `${dashboard.url}/deliveries/${id}`, { permissions })
  await page.getByRole('button', { name: 'Copy' }).click()
  await page.getByRole('button', { name: 'Copied' }).waitFor()
  const copied = String(await page.evaluate('navigator.clipboard.readText()'))
  assert.match(copied, /^curl -i 'http:\/\/127\.0\.0\.1:9\/gone' \\\n/)
  assert.ok(copied.endsWith(`--data-binary '{"n": 1,  "m":2}'`), copied)
})

test('people log in and out, a script cannot read their cookie, and a read token gets nothing to press', async (t) => {
  const dashboard = await startDashboard(t, {
    config: {
      ...testConfig,
      apiTokens: [
        { role: 'read', name: 'looker', token: 'read-token' },
        { role: 'write', name: 'ops', token: 'write-token' },
      ],
    },
  })
  const id = await putEvent(dashboard.database)
  const path = `/deliveries/${id}`
  const page = await visit(t, dashboard.url + path)
  const logIn = async (token: string) => {
    await page.getByLabel('Token').fill(token)
    await page.getByRole('button', { name: 'Log in' }).click()
  }
  await logIn('nope')
  await page.getByRole('alert').getByText('This token is not known').waitFor()
  await logIn('read-token')
  await page.waitForURL(`**${path}`)
  assert.equal(await page.getByRole('button', { name: 'Replay' }).count(), 0)
  assert.equal(await page.evaluate('document.cookie'), '')
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.waitForURL('**/login')
  await page.goto(dashboard.url + path)
  await logIn('write-token')
  await page.waitForURL(`**${path}`)
  await page.getByRole('button', { name: 'Replay' }).waitFor()
  const [cookie] = await page.context().cookies()
  assert.deepEqual([cookie?.httpOnly, cookie?.sameSite], [true, 'Strict'])
})

test('the overview of nothing is calm, and tells who has just begun what to do', async (t) => {
  const dashboard = await startDashboard(t)
  const page = await visit(t, dashboard.url)
  await page.getByRole('heading', { name: 'All is well' }).waitFor()
  await page.goto(`${dashboard.url}/deliveries`)
  await page.getByText('Give a project or a ticket a webhook_url').waitFor()
})
