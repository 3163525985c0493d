import type { AddressInfo } from 'node:net'
import { rm } from 'node:fs/promises'
import { serve } from '@hono/node-server'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import type { AppOptions } from '../../src/api/context.ts'
import { createTestApi, type TestApi } from '../api/support.ts'
import { onCleanup } from '../support/cleanup.ts'
import { runDirectory } from '../support/server.ts'

interface HasAfter {
  after(run: () => Promise<void>): void
}

export interface TestDashboard extends TestApi {
  url: string
}

/** The service's pages on a socket of loopback, on a database of their own. */
export async function startDashboard(
  owner: HasAfter,
  options: Partial<AppOptions> = {},
): Promise<TestDashboard> {
  const api = await createTestApi(owner, options)
  const server = await new Promise<ReturnType<typeof serve>>((resolve) => {
    const started = serve({ fetch: api.app.fetch, hostname: '127.0.0.1', port: 0 }, () => resolve(started))
  })
  onCleanup(owner, async () => {
    const closed = new Promise((resolve) => server.close(resolve))
    if ('closeAllConnections' in server) server.closeAllConnections()
    await closed
  })
  return { ...api, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** A real Chromium from npm, unpacked for this process alone: two that unpack into one place would take each other's half. */
export async function startBrowser(owner: HasAfter): Promise<Browser> {
  const directory = await runDirectory()
  onCleanup(owner, () => rm(directory, { recursive: true, force: true }))
  const before = process.env['TMPDIR']
  process.env['TMPDIR'] = directory
  try {
    const { default: packed } = await import('@sparticuz/chromium')
    const executablePath = await packed.executablePath()
    // Not with the arguments that it comes with, which are for short functions: one process, and no web security.
    const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
    onCleanup(owner, () => browser.close())
    return browser
  } finally {
    if (before === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = before
  }
}

export interface WatchedPage {
  page: Page
  /** What the content-security-policy refused, what scripts threw, and every request to another host. */
  wrong: string[]
}

/** A tab of its own context, that notes whatever a page must not do. */
export async function openPage(
  owner: HasAfter,
  browser: Browser,
  origin: string,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const context = await browser.newContext({ baseURL: origin, ...options })
  onCleanup(owner, () => context.close())
  const page = await context.newPage()
  const wrong: string[] = []
  page.setDefaultTimeout(15_000)
  page.on('pageerror', (error) => wrong.push(`error: ${error.message}`))
  page.on('console', (message) => {
    if (message.type() === 'error' && !/the server responded with a status of 4/.test(message.text()))
      wrong.push(`console: ${message.text()}`)
  })
  page.on('dialog', (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(origin)) wrong.push(`request: ${request.url()}`)
  })
  await page.addInitScript(`
    addEventListener('securitypolicyviolation', (event) =>
      console.error('policy: ' + event.violatedDirective + ' ' + event.blockedURI + ' ' + event.sample))`)
  return { page, wrong }
}
