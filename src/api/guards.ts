import type { Hono, MiddlewareHandler } from 'hono'
import type { Env } from './context.ts'
import { Problem } from './problem.ts'

/** Headers of every answer; a route that sets one of them itself keeps its own. */
export const securityHeaders: MiddlewareHandler<Env> = async (c, next) => {
  await next()
  for (const [name, value] of [
    ['cache-control', 'no-store'],
    ['x-content-type-options', 'nosniff'],
    ['referrer-policy', 'no-referrer'],
    ['content-security-policy', "default-src 'none'; frame-ancestors 'none'"],
  ] as const) {
    if (!c.res.headers.has(name)) c.res.headers.set(name, value)
  }
}

/** Hono passes on what it cannot decode as it stands, which would look up an id that nobody sent. */
export const wellFormedPath: MiddlewareHandler<Env> = async (c, next) => {
  try {
    decodeURIComponent(c.req.url.replace(/[?#].*$/s, ''))
  } catch {
    throw new Problem(
      400,
      'the path has a percent-encoding that is not valid UTF-8: write %25 for a percent sign',
    )
  }
  await next()
}

/** 405 with Allow for the other methods of every path that has routes by now; HEAD comes with GET. */
export function refuseOtherMethods(app: Hono<Env>): void {
  const methods = new Map<string, Set<string>>()
  for (const { path, method } of app.routes) {
    if (method === 'ALL') continue
    const known = methods.get(path) ?? methods.set(path, new Set()).get(path)!
    known.add(method)
    if (method === 'GET') known.add('HEAD')
  }
  for (const [path, known] of methods) {
    const allow = [...known].sort().join(', ')
    app.all(path, (c) => {
      throw new Problem(405, `${c.req.method} is not possible here, but ${allow}`, { headers: { allow } })
    })
  }
}
