/**
 * npm run screenshots [-- <directory>]: the pages at 1280 and 390 pixels, light and dark, of an empty service and of one that owes
 * 100,000 events, as PNG files in .data/screenshots.
 */
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { kyselyOver } from '../src/database/connection.ts'
import { checkHealth } from '../src/observe/health.ts'
import { testConfig } from '../tests/api/support.ts'
import { seedTrouble } from '../tests/dashboard/seed.ts'
import { openPage, startBrowser, startDashboard, type TestDashboard } from '../tests/dashboard/support.ts'
import { startTestServer } from '../tests/support/server.ts'

const directory = resolve(process.argv[2] ?? join(import.meta.dirname, '../.data/screenshots'))
const owed = 100_000

/** Paths of the pages, by the names of their pictures. */
async function paths({ database }: TestDashboard): Promise<Record<string, string>> {
  const one = async (query: string) => (await database.query<{ id: string }>(query))[0]?.id ?? 'none'
  const event = 'select event_id as id from'
  return {
    overview: '/',
    'overview-7d': '/?window=7d',
    deliveries: '/deliveries',
    'deliveries-dead': '/deliveries?state=dead&error=503',
    'delivery-dead': `/deliveries/${await one(`${event} webhook_history where outcome = 'dead' order by created_at desc limit 1`)}`,
    'delivery-waiting': `/deliveries/${await one(`${event} webhook_outbox where attempts = 1 order by created_at limit 1`)}`,
    'delivery-done': `/deliveries/${await one(`${event} webhook_history where outcome = 'delivered' order by created_at desc limit 1`)}`,
    endpoints: '/endpoints',
    'endpoint-open': `/endpoints/${await one(`select id from webhook_endpoints where breaker = 'open'`)}`,
    'endpoint-24h': `/endpoints/${await one(`select id from webhook_endpoints where breaker = 'open'`)}?window=24h`,
    'endpoint-healthy': `/endpoints/${await one(`select id from webhook_endpoints where failures = 0 and paused_at is null`)}`,
    'bulk-replay': '/bulk/replay?state=dead',
    operations: '/operations',
    operation: `/operations/${await one('select id from webhook_operations')}`,
    agents: '/agents',
    audit: '/audit',
  }
}

async function shoot(page: Page, pages: Record<string, string>, suffix: string): Promise<void> {
  for (const [name, path] of Object.entries(pages)) {
    if (path.includes('/none')) continue
    await page.goto(path)
    await page.screenshot({ path: join(directory, `${name}-${suffix}.png`), fullPage: true })
    // What is seen first, of pages that are too long to be read as one picture.
    if ((await page.locator('body').boundingBox())!.height > 2_000) {
      await page.screenshot({ path: join(directory, `${name}-${suffix}-top.png`) })
    }
  }
}

/** For the README: the overview of a service that works, in the middle of some trouble. */
async function picture(browser: Browser): Promise<void> {
  const dashboard = await startDashboard(owner)
  await seedTrouble(dashboard.database, { owed: 1_250, settled: 200_000 })
  const viewport = { width: 1200, height: 690 }
  const { page } = await openPage(owner, browser, dashboard.url, { viewport, colorScheme: 'light' })
  await page.goto('/')
  const { y, height } = (await page.locator('section[aria-labelledby=activity]').boundingBox())!
  const clip = { x: 0, y: 0, width: viewport.width, height: y + height + 24 }
  await page.screenshot({ path: join(directory, 'readme.png'), fullPage: true, clip })
}

const cleanups: (() => Promise<void>)[] = []
const owner = { after: (run: () => Promise<void>) => void cleanups.push(run) }
const server = await startTestServer()
Object.assign(process.env, server.environment)
try {
  await mkdir(directory, { recursive: true })
  const browser = await startBrowser(owner)
  for (const kind of ['empty', 'full']) {
    const dashboard: TestDashboard = await startDashboard(owner, {
      health: () => checkHealth(kyselyOver(dashboard.database.pool)),
    })
    if (kind === 'full') await seedTrouble(dashboard.database, { owed, settled: 200_000 })
    const pages = await paths(dashboard)
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const width of [1280, 390]) {
        const viewport = { width, height: 844 }
        const { page } = await openPage(owner, browser, dashboard.url, { viewport, colorScheme })
        await shoot(page, pages, `${kind}-${width}-${colorScheme}`)
        await page.context().close()
      }
    }
  }
  await picture(browser)
  const locked = await startDashboard(owner, {
    config: {
      ...testConfig,
      apiTokens: [{ role: 'read', name: 'ops', token: 'a-token' }],
    },
  })
  for (const width of [1280, 390]) {
    const { page } = await openPage(owner, browser, locked.url, { viewport: { width, height: 844 } })
    await shoot(page, { login: '/login' }, `${width}-light`)
  }
  console.log(`The pictures are in ${directory}`)
} finally {
  for (const run of cleanups.toReversed()) await run()
  await server.stop()
}
