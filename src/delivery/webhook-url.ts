import type { AddressPolicy } from './address-policy.ts'
import { whyUnstorable } from './storable-text.ts'

/**
 * A rule on top of what every webhook_url must satisfy, such as the address policy on literal hosts.
 * @returns why the URL is refused, in words that say what to change; undefined where it is not
 */
export type RefuseUrl = (url: URL) => string | undefined

export const longestUrl = 2_048
const control = /[\u0000-\u001f\u007f-\u009f]/

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
  if (value.length > longestUrl) return `must be at most ${longestUrl} characters long`
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
  if (url.href.length > longestUrl)
    return `must be at most ${longestUrl} characters long once it is percent-encoded`
  return refuse?.(url) ?? url
}
