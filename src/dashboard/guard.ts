import type { Context, MiddlewareHandler } from 'hono'
import { access, bearerOf, tokenFinder } from '../api/access.ts'
import type { Env } from '../api/context.ts'
import { Problem } from '../api/problem.ts'
import type { ApiToken } from '../config.ts'
import type { Sessions } from './session.ts'

/** Who looks at a page. */
export interface Visitor {
  /** Of the token; undefined where no tokens are configured. */
  name: string | undefined
  mayWrite: boolean
}

export interface PageEnv {
  Variables: Env['Variables'] & { visitor: Visitor }
}

/**
 * Who may see a page, and who may change something by it: by a session, or by a token in the header as for the API; without
 * tokens whoever is on this machine. Who has no session yet is sent to log in, and comes back to the page.
 */
export function admit(tokens: readonly ApiToken[], sessions: Sessions): MiddlewareHandler<PageEnv> {
  const onThisMachine = access([]) as unknown as MiddlewareHandler<PageEnv>
  const find = tokenFinder(tokens)
  return async (c, next) => {
    const writes = c.req.method === 'POST'
    if (writes) requireOwnOrigin(c)
    if (tokens.length === 0) {
      c.set('visitor', { name: undefined, mayWrite: true })
      return onThisMachine(c, next)
    }
    const bearer = bearerOf(c)
    const token = bearer === undefined ? sessions.find(c) : find(bearer)
    if (token === undefined) {
      if (writes) throw new Problem(401, 'your session has ended: log in again')
      const { pathname, search } = new URL(c.req.url)
      const back = pathname === '/' && search === '' ? '' : `?next=${encodeURIComponent(pathname + search)}`
      return c.redirect(`/login${back}`, 303)
    }
    if (writes && token.role !== 'write') {
      throw new Problem(403, 'your token may only read: log in with one that may write')
    }
    c.set('visitor', { name: token.name, mayWrite: token.role === 'write' })
    c.set('actor', token.name)
    await next()
  }
}

/**
 * A form of another site may not act here, whatever cookies the browser adds. Browsers send Origin with every form, and
 * where the connection is trusted, Sec-Fetch-Site, which also holds behind a proxy that changes the Host.
 */
export function requireOwnOrigin(c: Context): void {
  const site = c.req.header('sec-fetch-site')
  const origin = URL.parse(c.req.header('origin') ?? '')?.host
  const own =
    site === undefined ? origin !== undefined && origin === c.req.header('host') : site === 'same-origin'
  if (!own) throw new Problem(403, 'only the pages of this service may do this: load the page anew')
}
