import { z } from 'zod'

/** As `Problem` answers (see src/api/problem.ts): RFC 9457. */
export const problem = z
  .object({
    type: z.string().describe('about:blank: the status says which kind of problem it is'),
    title: z.string().describe("The status's name"),
    status: z.int(),
    detail: z.string().describe('What is wrong, in words that say what to change'),
    errors: z
      .array(
        z.object({
          pointer: z
            .string()
            .describe('JSON Pointer to it, such as #/webhook_url; a query parameter is #/limit'),
          detail: z.string(),
        }),
      )
      .optional()
      .describe('Each thing that is wrong with the request, where it is wrong in places that can be named'),
  })
  .meta({ id: 'Problem', description: 'An answer that is an error: RFC 9457' })

/** What a status means, where the operation says nothing more particular. */
export const problemTexts: Readonly<Record<number, string>> = {
  400: 'The body is not valid JSON in UTF-8, or the path is not percent-encoded UTF-8',
  401: 'A token is needed, or the one that came is not known; only where API_TOKENS are set',
  403: 'The token may only read, or, without API_TOKENS, the request is not from this machine',
  404: 'There is nothing with this id',
  413: 'The body is too large',
  415: 'The body has another content type or a content encoding',
  422: 'A value, a property or a parameter cannot be taken: errors says which and why',
  500: 'The service failed, and its log says why',
  503: 'The database cannot be reached, or cannot take the change now; nothing is known to have changed, try again',
}
