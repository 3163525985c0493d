import type { z } from 'zod'

/**
 * How one route is described, next to the code that serves it. Its schemas are the ones that the route validates with,
 * so that there is no second description of a shape; a test drives every operation against the real app.
 */
export interface RouteDoc {
  method: 'get' | 'post' | 'patch' | 'put' | 'delete'
  /** As OpenAPI has it: `/api/v1/projects/{id}`. */
  path: string
  /** The operationId, and the name of the client's method. */
  id: string
  tag: string
  summary: string
  description?: string
  /** No token is asked for; otherwise one that may read, or write where the method changes something. */
  open?: true
  query?: z.ZodObject
  /** Request headers besides those of HTTP itself. */
  headers?: Record<string, { description: string; required?: true }>
  body?: {
    schema: z.ZodType
    /** Takes application/merge-patch+json too. */
    patch?: true
    optional?: true
  }
  answer: AnswerDoc
  /** Other answers that are no problems, by their status. */
  alsoAnswers?: readonly AnswerDoc[]
  /** Problems that are particular to it, by their status; those that follow from what is above are added. */
  problems?: Readonly<Record<number, string>>
}

export interface AnswerDoc {
  status: number
  description: string
  /** Absent: it has no body, or one that is not JSON. */
  schema?: z.ZodType
  /** Of the body; application/json unless told otherwise. */
  type?: string
  headers?: Readonly<Record<string, string>>
}

/** Whether a request may change something: it needs a token with the role write. */
export function changes({ method }: Pick<RouteDoc, 'method'>): boolean {
  return method !== 'get'
}
