import type { FieldError } from '../api/problem.ts'

/** The service answered with a problem (RFC 9457). Its message is the problem's detail. */
export class ApiError extends Error {
  override name = 'ApiError'
  readonly status: number
  readonly title: string
  /** What is wrong with the request, where it can be pointed to. */
  readonly errors: readonly FieldError[]

  constructor(problem: { status: number; title: string; detail: string; errors?: readonly FieldError[] }) {
    super(problem.detail)
    this.status = problem.status
    this.title = problem.title
    this.errors = problem.errors ?? []
  }
}

/** There was no answer, or none of this service. Its message says where it was looked for and what to change. */
export class NoAnswer extends Error {
  override name = 'NoAnswer'
}
