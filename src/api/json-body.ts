import type { Context, MiddlewareHandler } from 'hono'
import type { Env } from './context.ts'
import { Problem } from './problem.ts'

/** Bytes of a body: contract, section 5. */
export const bodyLimit = 64 * 1024
export const taskBodyLimit = 256 * 1024

const json = ['application/json']
/** RFC 7396 names the second; the first is what most clients send. */
const mergePatch = ['application/json', 'application/merge-patch+json']

/**
 * Reads a JSON body before it is validated, because the validator takes what is not JSON for `{}`: 415 for another
 * type, 413 past the limit (also in chunks that do not say their length), 400 for what is not UTF-8 or not JSON.
 * An `optional` body that is empty counts as `{}`.
 */
export function jsonBody({
  limit = bodyLimit,
  patch = false,
  optional = false,
} = {}): MiddlewareHandler<Env> {
  const types = patch ? mergePatch : json
  return async (c, next) => {
    const type = c.req.header('content-type')
    if (type !== undefined) checkType(type, types)
    checkEncoding(c.req.header('content-encoding'))
    const bytes = await readBytes(c, limit)
    if (bytes.length === 0 && optional) {
      c.req.bodyCache.text = Promise.resolve('{}') as never
      return next()
    }
    if (bytes.length === 0) throw new Problem(400, 'the body is empty: send a JSON object')
    if (type === undefined) checkType('', types)
    const text = decode(bytes)
    try {
      JSON.parse(text)
    } catch {
      throw new Problem(400, 'the body is not valid JSON')
    }
    c.req.bodyCache.text = Promise.resolve(text) as never
    await next()
  }
}

/** For routes that need no body: what comes is read, within the limit, and dropped. */
export function noBody(): MiddlewareHandler<Env> {
  return async (c, next) => {
    await readBytes(c, bodyLimit)
    await next()
  }
}

function checkType(given: string, types: readonly string[]): void {
  const [type = '', ...parameters] = given.split(';').map((part) => part.trim().toLowerCase())
  const charset = parameters.find((parameter) => parameter.startsWith('charset='))?.slice('charset='.length)
  const isUtf8 = charset === undefined || ['utf-8', 'utf8'].includes(charset.replaceAll('"', ''))
  if (types.includes(type) && isUtf8) return
  const headers = { [types === mergePatch ? 'accept-patch' : 'accept-post']: types.join(', ') }
  throw new Problem(415, `send the content type ${types.join(' or ')}, in UTF-8`, { headers })
}

function checkEncoding(encoding: string | undefined): void {
  if (encoding === undefined || encoding.toLowerCase() === 'identity') return
  throw new Problem(415, 'send the body without a content encoding')
}

async function readBytes(c: Context<Env>, limit: number): Promise<Buffer> {
  const tooLarge = () => new Problem(413, `the body is larger than ${limit / 1024} KiB`)
  if (Number(c.req.header('content-length') ?? 0) > limit) throw tooLarge()
  const body = c.req.raw.body as ReadableStream<Uint8Array> | null
  const reader = body?.getReader()
  if (reader === undefined) return Buffer.alloc(0)
  const chunks: Uint8Array[] = []
  let length = 0
  for (;;) {
    const { done, value } = await reader.read().catch(() => {
      throw new Problem(400, 'the body ended before it was complete')
    })
    if (done) return Buffer.concat(chunks)
    length += value.byteLength
    if (length > limit) {
      reader.cancel().catch(() => undefined)
      throw tooLarge()
    }
    chunks.push(value)
  }
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new Problem(400, 'the body is not valid UTF-8')
  }
}
