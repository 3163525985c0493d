import { z } from 'zod'
import { whyUnstorable } from '../../delivery/storable-text.ts'

const control = /[\u0000-\u001f\u007f-\u009f]/

/** Says which of a missing property and a wrong type it is. */
export function typeError(wanted: string) {
  return ({ input }: { input?: unknown }) => (input === undefined ? 'is required' : `must be ${wanted}`)
}

interface TextOptions {
  max: number
  /** Refuses line breaks and other control characters. */
  oneLine?: boolean
  /** Allows a text of nothing or of spaces only. */
  blank?: boolean
}

/** A text that Postgres can store; `max` counts characters (code points), as varchar and JSON Schema do. */
export function text({ max, oneLine = false, blank = false }: TextOptions) {
  return z
    .string({ error: typeError(`a string of ${blank ? 'at most' : '1 to'} ${max} characters`) })
    .superRefine((value, context) => {
      const unstorable = whyUnstorable(value)
      if (unstorable !== undefined) context.addIssue(unstorable)
      else if (oneLine && control.test(value)) {
        context.addIssue('must not contain control characters, such as line breaks')
      } else if (!blank && value.trim() === '') context.addIssue('must not be blank')
      if (value.length > max && [...value].length > max) {
        context.addIssue(`must be at most ${max} characters long`)
      }
    })
    .meta({ minLength: blank ? 0 : 1, maxLength: max })
}

const ids = { max: 200, oneLine: true }

/** An id that a client gives to what it creates: it must be able to stand in a path. */
export const newId = text(ids)
  .refine((value) => value !== '.' && value !== '..', {
    error: 'must not be . or .., which a path cannot hold',
  })
  .describe('Your own id for it; one is made where it is absent')

/** An id of something else, which is looked up. */
export const reference = text({ ...ids, max: 1_000 })

export const status = text({ max: 50, oneLine: true })
