import { z } from 'zod'
import type { AddressPolicy } from '../../delivery/address-policy.ts'
import type { RefuseUrl } from '../context.ts'
import { typeError, whyUnstorable } from './text.ts'

const longest = 2_048
const control = /[\u0000-\u001f\u007f-\u009f]/

/**
 * A URL to deliver to, or null for none. It is parsed as browsers and fetch do (WHATWG), and what is stored is the
 * parsed form, so that what was checked is what will be sent to.
 */
export function webhookUrl(refuse: RefuseUrl | undefined) {
  return z
    .string({ error: typeError('an http or https URL, or null for none') })
    .meta({ format: 'uri', maxLength: longest })
    .transform((value, context) => {
      const result = parseWebhookUrl(value, refuse)
      if (result instanceof URL) return result.href
      context.addIssue({ code: 'custom', message: result, input: '' })
      return z.NEVER
    })
    .nullable()
    .meta({
      description: `Where events are sent: an http or https URL of at most ${longest} characters, without credentials; null for none`,
    })
}

/** Refuses a URL whose host needs no look-up to be known as not allowed. The socket judges every other one. */
export function refuseAddresses({ checkHost }: Pick<AddressPolicy, 'checkHost'>): RefuseUrl {
  return ({ hostname }) => {
    const refusal = checkHost(hostname)
    return refusal === null ? undefined : `must have a host that webhooks may be sent to: ${refusal}`
  }
}

/** @returns the URL, or what to change; never the URL's own text, which may be secret */
export function parseWebhookUrl(value: string, refuse?: RefuseUrl): URL | string {
  if (value === '') return 'must be an http or https URL; send null for none'
  if (value.length > longest) return `must be at most ${longest} characters long`
  const unstorable = whyUnstorable(value)
  if (unstorable !== undefined) return unstorable
  if (control.test(value)) return 'must not contain control characters'
  if (value !== value.trim()) return 'must not begin or end with a space'
  const url = URL.parse(value)
  if (url === null) return 'must be a complete URL, such as https://example.com/hook'
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'must begin with http:// or https://'
  if (url.username !== '' || url.password !== '') {
    return 'must not contain credentials (user:password@)'
  }
  if (url.href.length > longest)
    return `must be at most ${longest} characters long once it is percent-encoded`
  return refuse?.(url) ?? url
}
