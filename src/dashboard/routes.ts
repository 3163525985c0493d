import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { tokenFinder } from '../api/access.ts'
import { Problem } from '../api/problem.ts'
import type { EndpointTest, Started } from '../client/types.ts'
import type { ApiToken } from '../config.ts'
import { agentsPage } from './agents.tsx'
import { assetRoutes } from './assets.ts'
import { auditPage } from './audit.tsx'
import { bulkPage, type Kind } from './bulk.tsx'
import { deliveriesPage } from './deliveries.tsx'
import { deliveryPage } from './delivery.tsx'
import { endpointPage } from './endpoint.tsx'
import { endpointsPage } from './endpoints.tsx'
import { failurePage } from './failure.tsx'
import { filterOf } from './filter.ts'
import { admit, type PageEnv, requireOwnOrigin } from './guard.ts'
import { localPath, loginPage } from './login.tsx'
import { operationPage, operationsPage } from './operations.tsx'
import { overviewPage } from './overview.tsx'
import { apiOf, type PageContext, type PageServices } from './pages.ts'
import { deliveryPath, endpointPath, operationPath } from './parts.tsx'
import { Sessions } from './session.ts'

const largestForm = 64 * 1024

/**
 * The dashboard: pages that are made here from what the API's routes answer, and forms that change things through the same routes,
 * and so with the same checks and the same audit. Its routes are for people, and no part of the API.
 */
export function dashboardRoutes(services: PageServices, tokens: readonly ApiToken[]): Hono<PageEnv> {
  const sessions = new Sessions(tokens)
  const routes = new Hono<PageEnv>()
  routes.onError((error, c) => failurePage(c, error, services))
  routes.route('/', assetRoutes())
  loginRoutes(routes, sessions, tokens)
  const admitted = admit(tokens, sessions)

  const pages: [string, (c: PageContext) => Response | Promise<Response>][] = [
    ['/', (c) => overviewPage(c, services)],
    ['/deliveries', (c) => deliveriesPage(c, services)],
    ['/deliveries/:id', (c) => deliveryPage(c, services, idOf(c))],
    ['/endpoints', (c) => endpointsPage(c, services)],
    ['/endpoints/:id', (c) => endpointPage(c, services, idOf(c))],
    ['/endpoints/:id/test', (c) => c.redirect(endpointPath(idOf(c)), 303)],
    ['/operations', (c) => operationsPage(c, services)],
    ['/operations/:id', (c) => operationPage(c, services, idOf(c))],
    ['/agents', (c) => agentsPage(c, services)],
    ['/audit', (c) => auditPage(c, services)],
    ['/bulk/:kind{replay|discard}', (c) => bulkPage(c, services, kindOf(c))],
  ]
  for (const [path, show] of pages) routes.get(path, admitted, show)
  const limit = formLimit()
  for (const [path, act] of Object.entries(actions(services))) routes.post(path, limit, admitted, act)
  return routes
}

type Act = (c: PageContext) => Promise<Response>

/** What forms do: a change through the API, then the page that shows what came of it. */
function actions(services: PageServices): Record<string, Act> {
  const change = async (c: PageContext, path: string, body: object = {}) => {
    await apiOf(c, services).post(path + lastPart(c), body)
    return c.redirect(path, 303)
  }
  return {
    '/deliveries/:id/replay': (c) => change(c, deliveryPath(idOf(c))),
    '/deliveries/:id/discard': async (c) => change(c, deliveryPath(idOf(c)), reasonOf(await form(c))),
    '/endpoints/:id/pause': async (c) => change(c, endpointPath(idOf(c)), reasonOf(await form(c))),
    '/endpoints/:id/resume': (c) => change(c, endpointPath(idOf(c))),
    '/endpoints/:id/test': async (c) => {
      const path = `${endpointPath(idOf(c))}/test`
      return endpointPage(c, services, idOf(c), await apiOf(c, services).post<EndpointTest>(path))
    },
    '/operations/:id/cancel': (c) => change(c, operationPath(idOf(c))),
    '/bulk/:kind{replay|discard}': async (c) => {
      const given = await form(c)
      const filter = filterOf(given)
      const { operation } = await apiOf(c, services).post<Started>(`/${kindOf(c)}s`, {
        ...filter,
        ...(Object.keys(filter).length === 0 ? { all: true } : {}),
        ...(kindOf(c) === 'discard' ? reasonOf(given) : {}),
        ...(given['rate'] === undefined ? {} : { rate: Number(given['rate']) }),
        dry_run: false,
      })
      return c.redirect(operationPath(operation.id), 303)
    },
  }
}

/** `/replay`: the last part of the form's own path is the API's too. */
function lastPart(c: PageContext): string {
  return c.req.path.slice(c.req.path.lastIndexOf('/'))
}

function idOf(c: PageContext): string {
  return c.req.param('id')!
}

function kindOf(c: PageContext): Kind {
  return c.req.param('kind') as Kind
}

async function form(c: PageContext): Promise<Record<string, string>> {
  const body = await c.req.parseBody()
  return Object.fromEntries(
    Object.entries(body).filter((pair): pair is [string, string] => typeof pair[1] === 'string'),
  )
}

function reasonOf({ reason = '' }: Record<string, string>): object {
  return reason.trim() === '' ? {} : { reason: reason.trim() }
}

function loginRoutes(routes: Hono<PageEnv>, sessions: Sessions, tokens: readonly ApiToken[]): void {
  const find = tokenFinder(tokens)
  routes.get('/login', (c) =>
    tokens.length === 0 ? c.redirect('/', 303) : loginPage(c, localPath(c.req.query('next'))),
  )
  routes.post('/login', formLimit(), async (c) => {
    requireOwnOrigin(c)
    const { token: given = '', next } = await form(c)
    const token = find(given.trim())
    if (token === undefined) return loginPage(c, localPath(next), 'This token is not known.')
    sessions.start(c, token)
    return c.redirect(localPath(next), 303)
  })
  routes.post('/logout', (c) => {
    requireOwnOrigin(c)
    sessions.end(c)
    return c.redirect(tokens.length === 0 ? '/' : '/login', 303)
  })
}

function formLimit() {
  return bodyLimit({
    maxSize: largestForm,
    onError: () => {
      throw new Problem(413, `the form is larger than ${largestForm / 1024} KiB`)
    },
  })
}
