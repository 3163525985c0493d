import { hash, timingSafeEqual } from 'node:crypto'
import type { Context, MiddlewareHandler } from 'hono'
import { type ApiToken, isLoopbackHost } from '../config.ts'
import type { Env } from './context.ts'
import { Problem } from './problem.ts'

const reading = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Who may do what (contract, section 6, API_TOKENS): by token, or on this machine only where there are none. */
export function access(tokens: readonly ApiToken[]): MiddlewareHandler<Env> {
  return tokens.length > 0 ? byToken(tokens) : onLoopback
}

/** @returns which of the tokens was given. All are compared, and by digest, so that the time says nothing about any. */
export function tokenFinder(tokens: readonly ApiToken[]): (given: string) => ApiToken | undefined {
  const known = tokens.map((token) => ({ token, digest: digest(token.token) }))
  return (given) => {
    const sent = digest(given)
    return known.filter((one) => timingSafeEqual(one.digest, sent))[0]?.token
  }
}

function byToken(tokens: readonly ApiToken[]): MiddlewareHandler<Env> {
  const find = tokenFinder(tokens)
  return async (c, next) => {
    const given = bearerOf(c)
    if (given === undefined) throw unauthorized('send a token: Authorization: Bearer <token>')
    const matching = find(given)
    if (matching === undefined) throw unauthorized('this token is not known', 'invalid_token')
    if (matching.role === 'read' && !reading.has(c.req.method)) {
      throw new Problem(403, 'this token may only read: use one with the role write')
    }
    c.set('actor', matching.name)
    await next()
  }
}

/** The token of the Authorization header. */
export function bearerOf(c: Context): string | undefined {
  return /^Bearer +([\x21-\x7e]+) *$/i.exec(c.req.header('authorization') ?? '')?.[1]
}

function digest(token: string): Buffer {
  return hash('sha256', token, 'buffer')
}

function unauthorized(detail: string, error?: string): Problem {
  const challenge = `Bearer realm="webhook-outbox"${error === undefined ? '' : `, error="${error}"`}`
  return new Problem(401, detail, { headers: { 'www-authenticate': challenge } })
}

/**
 * Without tokens, a page in a browser on this machine is the danger: by DNS rebinding it comes under a name of its own
 * as Host, and a form that it sends elsewhere carries its Origin.
 */
const onLoopback: MiddlewareHandler<Env> = async (c, next) => {
  const url = URL.parse(c.req.url)
  const host = c.req.header('host') ?? url?.host ?? ''
  if (!isLoopback(host) || !isLoopback(url?.host ?? '')) {
    throw new Problem(
      403,
      'the Host header must be localhost or a loopback address: set API_TOKENS to serve others',
    )
  }
  const origin = c.req.header('origin')
  if (origin !== undefined && !reading.has(c.req.method) && !isLoopback(URL.parse(origin)?.host ?? '')) {
    throw new Problem(403, 'pages of other sites may not change anything here')
  }
  await next()
}

function isLoopback(host: string): boolean {
  const name = /^(\[[^\]]+\]|[^:[\]]+)(?::\d{1,5})?$/.exec(host)?.[1]
  return name !== undefined && isLoopbackHost(name)
}
