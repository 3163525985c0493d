import { z } from 'zod'
import { isReservedHeader } from '../../delivery/own-headers.ts'

const mostHeaders = 20
const longestName = 100
const longestValue = 4_096

/** RFC 9110, section 5.1 and 5.5: a token, and visible characters with spaces or tabs between them. */
const nameForm = /^[!#$%&'*+.^_`|~\da-z-]+$/
const valueForm = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/

/** By lower-case name; null removes one. */
export type HeaderPatch = Record<string, string | null>

/**
 * Headers as a merge patch has them. It is read by hand, because a record of zod passes over a member `__proto__`, which
 * is a name that a header may have.
 */
export const requestHeaders = z
  .unknown()
  .transform((value, context): HeaderPatch => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      context.addIssue('must be an object of header names and values, or null')
      return z.NEVER
    }
    const headers = new Map<string, string | null>()
    for (const [given, content] of Object.entries(value as Record<string, unknown>)) {
      const name = given.toLowerCase()
      const refused = whyNotAllowed(name) ?? (headers.has(name) ? 'stands there twice' : whyNoValue(content))
      if (refused !== undefined) context.addIssue({ code: 'custom', path: [given], message: refused })
      headers.set(name, content as string | null)
    }
    if (headers.size > mostHeaders) context.addIssue(tooMany)
    return Object.fromEntries(headers)
  })
  .meta({
    type: 'object',
    maxProperties: mostHeaders,
    additionalProperties: { type: ['string', 'null'], minLength: 1, maxLength: longestValue },
  })

export const tooMany = `must be at most ${mostHeaders} headers`

export function isTooMany(names: number): boolean {
  return names > mostHeaders
}

function whyNotAllowed(name: string): string | undefined {
  if (!nameForm.test(name)) return 'is no name of a header: letters, digits and hyphens'
  if (name.length > longestName) return `must have a name of at most ${longestName} characters`
  if (isReservedHeader(name)) return 'is a header that this service sets itself: remove it'
  return undefined
}

function whyNoValue(value: unknown): string | undefined {
  if (value === null) return undefined
  if (typeof value !== 'string') return 'must be a string, or null to remove it'
  if (value.length > longestValue) return `must be at most ${longestValue} characters long`
  if (valueForm.test(value)) return undefined
  return 'must be visible ASCII characters, with spaces only between them'
}
