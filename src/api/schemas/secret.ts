import { z } from 'zod'
import { isSecret, secretForm } from '../../delivery/signature.ts'
import { typeError } from './text.ts'

export const secretAdd = z.strictObject({
  secret: z
    .string({ error: typeError(secretForm) })
    .refine(isSecret, { error: `must be ${secretForm} (it is not shown)` })
    .optional()
    .meta({ description: `Your own: ${secretForm}; one is made where it is absent`, maxLength: 94 }),
})

const fingerprint = z
  .string()
  .describe('Names the secret without giving it away: the first 16 hex digits of its SHA-256')

export const secretAdded = z
  .object({
    fingerprint,
    secret: z.string().describe('For the receiver. It is answered this once, and never again'),
  })
  .meta({ id: 'NewSecret' })

export const secretShown = z.object({ fingerprint }).meta({ id: 'Secret' })
