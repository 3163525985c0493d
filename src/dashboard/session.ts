import { createHmac, hash, timingSafeEqual } from 'node:crypto'
import type { Context } from 'hono'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import type { ApiToken } from '../config.ts'

const cookie = 'webhook_outbox_session'
const lifetimeSeconds = 12 * 3_600

/**
 * Sessions of people in browsers. The cookie says whose it is and until when, under a MAC that is keyed with the token: it
 * does not hold the token, every process with the same API_TOKENS takes it, and it ends where its token is taken away.
 */
export class Sessions {
  readonly #tokens: readonly ApiToken[]
  readonly #now: () => number

  constructor(tokens: readonly ApiToken[], now: () => number = Date.now) {
    this.#tokens = tokens
    this.#now = now
  }

  start(c: Context, token: ApiToken): void {
    const expires = Math.floor(this.#now() / 1000) + lifetimeSeconds
    const claim = `${Buffer.from(token.name).toString('base64url')}.${token.role}.${expires}`
    setCookie(c, cookie, `${claim}.${mac(token, claim).toString('base64url')}`, {
      ...{ path: '/', httpOnly: true, sameSite: 'Strict', secure: isSecure(c), maxAge: lifetimeSeconds },
    })
  }

  end(c: Context): void {
    deleteCookie(c, cookie, { path: '/', httpOnly: true, sameSite: 'Strict', secure: isSecure(c) })
  }

  /** Whose session the request belongs to. */
  find(c: Context): ApiToken | undefined {
    const value = getCookie(c, cookie) ?? ''
    const [, claim, expires, given] = /^([\w-]*\.\w+\.(\d{1,12}))\.([\w-]{43})$/.exec(value) ?? []
    if (claim === undefined || Number(expires) * 1000 <= this.#now()) return undefined
    const sent = Buffer.from(given!, 'base64url')
    return this.#tokens.filter((token) => {
      const [name, role] = claim.split('.')
      const own = Buffer.from(token.name).toString('base64url') === name && token.role === role
      return timingSafeEqual(mac(token, claim), sent) && own
    })[0]
  }
}

function mac(token: ApiToken, claim: string): Buffer {
  const key = hash('sha256', `webhook-outbox session\n${token.token}`, 'buffer')
  return createHmac('sha256', key).update(claim).digest()
}

/** Behind a proxy that ends TLS, too. */
function isSecure(c: Context): boolean {
  return c.req.url.startsWith('https:') || c.req.header('x-forwarded-proto') === 'https'
}
