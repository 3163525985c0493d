import { Hono } from 'hono'
import { access } from './access.ts'
import { Activity } from '../dashboard/activity.ts'
import type { ApiRoutes } from '../dashboard/api.ts'
import { dashboardRoutes } from '../dashboard/routes.ts'
import { agentRoutes } from './agents.ts'
import type { AppOptions, Env, Services } from './context.ts'
import { auditRoutes } from './audit.ts'
import { discardRoutes, replayRoutes } from './bulk.ts'
import { deliveryRoutes } from './deliveries.ts'
import { endpointRoutes } from './endpoints.ts'
import { refuseOtherMethods, securityHeaders, wellFormedPath } from './guards.ts'
import { healthRoutes } from './health.ts'
import { installationRoutes } from './installation.ts'
import { metricsRoutes } from './metrics.ts'
import { onError } from './on-error.ts'
import { routeDocs } from './openapi/route-docs.ts'
import { documentRoutes } from './openapi/routes.ts'
import { operationRoutes } from './operations.ts'
import { Problem } from './problem.ts'
import { projectRoutes } from './projects.ts'
import { secretRoutes } from './secrets.ts'
import { taskRoutes } from './tasks.ts'
import { ticketRoutes } from './tickets.ts'

/**
 * The HTTP API (contract, section 5), for @hono/node-server or `app.request()`. Every error is an RFC 9457 problem;
 * a process whose ROLE is dispatcher serves its health and its metrics only.
 */
export function createApp(options: AppOptions): Hono<Env> {
  const { config, log, health } = options
  const app = new Hono<Env>()
  app.onError(onError(log))
  app.notFound((c) => new Problem(404, `there is nothing at ${c.req.path}`).toResponse())
  app.use(securityHeaders, wellFormedPath)

  // Before `access`: probes have no token.
  app.route(
    '/',
    healthRoutes(health, (error) => log?.error({ err: error }, 'the health check failed')),
  )
  refuseOtherMethods(app)

  // Before `access` too: people in browsers log in otherwise than programs.
  const services = servicesOf(options)
  if (config.role !== 'dispatcher') app.route('/', dashboard(options, services))

  app.use(access(config.apiTokens))
  if (options.metrics !== undefined) app.route('/', metricsRoutes(options.metrics))
  if (config.role !== 'dispatcher') {
    mountResources(app, services)
    app.route('/', documentRoutes(routeDocs, options.version))
  }
  refuseOtherMethods(app)
  return app
}

function dashboard({ db, config, log, health, version }: AppOptions, services: Services) {
  const routes: ApiRoutes = new Hono()
  routes.onError(onError(log))
  routes.use(async (c, next) => {
    c.set('actor', (c.env as { actor: string | undefined }).actor)
    await next()
  })
  mountResources(routes, services)
  const { apiTokens, installation } = config
  const activity = new Activity(db)
  return dashboardRoutes(
    { db, routes, activity, health, limits: config, installation, version, onError: onError(log) },
    apiTokens,
  )
}

function servicesOf({ db, refuseUrl, sender, config }: AppOptions): Services {
  const { leaseMs, maxInFlightPerEndpoint, installation } = config
  return { db, refuseUrl, sender, leaseMs, maxInFlightPerEndpoint, installation }
}

function mountResources(app: Hono<Env>, services: Services): void {
  app.route('/api/v1/projects', projectRoutes(services))
  app.route('/api/v1/tickets', ticketRoutes(services))
  app.route('/api/v1/tasks', taskRoutes(services))
  app.route('/api/v1/agents', agentRoutes(services))
  app.route('/api/v1/deliveries', deliveryRoutes(services))
  app.route('/api/v1/endpoints', endpointRoutes(services))
  app.route('/api/v1/endpoints', secretRoutes(services, 'endpoints'))
  app.route('/api/v1/projects', secretRoutes(services, 'projects'))
  app.route('/api/v1/replays', replayRoutes(services))
  app.route('/api/v1/discards', discardRoutes(services))
  app.route('/api/v1/operations', operationRoutes(services))
  app.route('/api/v1/installation', installationRoutes(services))
  app.route('/api/v1/audit', auditRoutes(services))
}
