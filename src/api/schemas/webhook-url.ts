import { z } from 'zod'
import { longestUrl, parseWebhookUrl, type RefuseUrl } from '../../delivery/webhook-url.ts'
import { typeError } from './text.ts'

/**
 * A URL to deliver to, or null for none. It is parsed as browsers and fetch do (WHATWG), and what is stored is the
 * parsed form, so that what was checked is what will be sent to.
 */
export function webhookUrl(refuse: RefuseUrl | undefined) {
  return z
    .string({ error: typeError('an http or https URL, or null for none') })
    .meta({ format: 'uri', maxLength: longestUrl })
    .transform((value, context) => {
      const result = parseWebhookUrl(value, refuse)
      if (result instanceof URL) return result.href
      context.addIssue({ code: 'custom', message: result, input: '' })
      return z.NEVER
    })
    .nullable()
    .meta({
      description: `Where events are sent: an http or https URL of at most ${longestUrl} characters, without credentials; null for none`,
    })
}
