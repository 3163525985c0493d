import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Hono } from 'hono'

const types = { js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' } as const

function asset(name: string, type: keyof typeof types) {
  const text = readFileSync(join(import.meta.dirname, `browser/${name}.${type}`), 'utf8')
  const path = `/assets/${name}.${hash('sha256', text, 'hex').slice(0, 16)}.${type}`
  return { path, text, type: types[type] }
}

/** What pages load, under names that change with their content. */
export const assets = {
  script: asset('live', 'js'),
  style: asset('style', 'css'),
  icon: asset('icon', 'svg'),
}

/** They hold nothing secret, and the login page needs them before anybody has logged in. */
export function assetRoutes(): Hono {
  const routes = new Hono()
  for (const { path, text, type } of Object.values(assets)) {
    routes.get(path, (c) =>
      c.body(text, 200, {
        'content-type': `${type}; charset=utf-8`,
        'cache-control': 'public, max-age=31536000, immutable',
      }),
    )
  }
  return routes
}
