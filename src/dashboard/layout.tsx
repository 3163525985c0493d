import type { Context } from 'hono'
import { html } from 'hono/html'
import type { Child } from 'hono/jsx'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { assets } from './assets.ts'
import type { PageEnv, Visitor } from './guard.ts'

const sections = [
  ['/', 'Overview'],
  ['/deliveries', 'Deliveries'],
  ['/endpoints', 'Endpoints'],
  ['/operations', 'Operations'],
  ['/agents', 'Agents'],
  ['/audit', 'Audit'],
] as const

/** Nothing of another host, nothing inline: what others wrote can at most be text. */
const policy = [
  ...["default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'"],
  ...["form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"],
].join('; ')

export interface PageOptions {
  title: string
  /** The path of the section that it belongs to. */
  section?: (typeof sections)[number][0]
  /** Where the page as it is now can be fetched; its elements with `data-region` are then kept up to date. */
  live?: string
  status?: ContentfulStatusCode
}

/** Answers with a page. */
export function page(
  c: Context<PageEnv>,
  options: PageOptions,
  content: Child,
): Response | Promise<Response> {
  const body = (
    <Layout {...options} visitor={c.get('visitor')}>
      {content}
    </Layout>
  )
  return c.html(html`<!doctype html>${body}`, options.status ?? 200, {
    'content-security-policy': policy,
    // With less, a browser hides the Origin of a form from its own site.
    'referrer-policy': 'same-origin',
  })
}

/** The page that was asked for, as it can be fetched again. */
export function here(c: Context<PageEnv>): string {
  const { pathname, search } = new URL(c.req.url)
  return pathname + search
}

function Layout({
  title,
  section,
  live,
  visitor,
  children,
}: PageOptions & { visitor: Visitor | undefined; children?: Child }) {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{`${title} · webhook-outbox`}</title>
        <link rel="icon" href={assets.icon.path} type="image/svg+xml" />
        <link rel="stylesheet" href={assets.style.path} />
        <script type="module" src={assets.script.path}></script>
      </head>
      <body data-live={live}>
        <a class="skip" href="#main">
          Skip to content
        </a>
        <header>
          <a class="brand" href="/">
            <img src={assets.icon.path} alt="" width="20" height="20" />
            webhook-outbox
          </a>
          {visitor !== undefined && (
            <nav aria-label="Sections">
              {sections.map(([path, name]) => (
                <a href={path} aria-current={path === section ? 'page' : undefined}>
                  {name}
                </a>
              ))}
            </nav>
          )}
          <div class="session">
            {live !== undefined && <span id="live" role="status"></span>}
            {visitor?.name !== undefined && <Session visitor={visitor} />}
          </div>
        </header>
        <main id="main" tabindex={-1}>
          {children}
        </main>
      </body>
    </html>
  )
}

function Session({ visitor }: { visitor: Visitor }) {
  return (
    <form method="post" action="/logout">
      <span>
        <bdi>{visitor.name}</bdi>
        {!visitor.mayWrite && ' (read only)'}
      </span>
      <button class="link">Log out</button>
    </form>
  )
}
