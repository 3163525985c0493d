import { Hono } from 'hono'
import { z } from 'zod'
import type { Env } from '../context.ts'
import type { RouteDoc } from './route-doc.ts'
import { describeApi } from './document.ts'
import { renderPage } from './page.tsx'

/** /openapi.json and /docs, its page, which loads nothing from anywhere. Both are made once, when first asked for. */
export function documentRoutes(operations: readonly RouteDoc[], version: string): Hono<Env> {
  let made: { json: string; page: ReturnType<typeof renderPage> } | undefined
  const make = () => {
    const document = describeApi(operations, version)
    return { json: JSON.stringify(document), page: renderPage(document) }
  }
  return new Hono<Env>()
    .get('/openapi.json', (c) => {
      made ??= make()
      return c.body(made.json, 200, { 'content-type': 'application/json' })
    })
    .get('/docs', (c) => {
      made ??= make()
      return c.html(made.page.html, 200, { 'content-security-policy': made.page.policy })
    })
}

export const documentDocs: RouteDoc[] = [
  {
    method: 'get',
    path: '/openapi.json',
    id: 'getOpenApi',
    tag: 'service',
    summary: 'This document',
    answer: {
      status: 200,
      description: 'OpenAPI 3.1, with its webhooks section',
      schema: z.looseObject({ openapi: z.string() }),
    },
  },
  {
    method: 'get',
    path: '/docs',
    id: 'getDocs',
    tag: 'service',
    summary: 'This document as a page',
    answer: { status: 200, description: 'HTML', schema: z.string(), type: 'text/html' },
  },
]
