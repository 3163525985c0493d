import type { ErrorHandler, Context } from 'hono'
import { HTTPException } from 'hono/http-exception'
import pg from 'pg'
import type { ApiLog, Env } from './context.ts'
import { databaseProblem } from './database-problem.ts'
import { Problem } from './problem.ts'

/** Turns whatever was thrown into a problem document; what is the service's own fault is logged. */
export function onError(log: ApiLog | undefined): ErrorHandler<Env> {
  return (error, c) => {
    const problem = toProblem(error)
    if (problem.status >= 500) report(log, problem, c)
    return problem.toResponse()
  }
}

function toProblem(error: Error): Problem {
  if (error instanceof Problem) return error
  if (error instanceof HTTPException) return new Problem(error.status, error.message, { cause: error })
  return (
    databaseProblem(error) ??
    new Problem(500, 'the service failed at this request; its log says why', { cause: error })
  )
}

function report(log: ApiLog | undefined, problem: Problem, c: Context<Env>): void {
  const fields = {
    method: c.req.method,
    route: c.req.path,
    status: problem.status,
    error: summary(problem.cause),
  }
  if (problem.status === 500) log?.error(fields, problem.message)
  else log?.warn(fields, problem.message)
}

/** Chosen fields only: the detail and the context of a Postgres error quote rows, whose URLs are secret. */
function summary(cause: unknown): object {
  if (!(cause instanceof Error)) return { message: typeof cause }
  const { name, message, stack } = cause
  if (!(cause instanceof pg.DatabaseError)) {
    return { name, message, stack, code: (cause as NodeJS.ErrnoException).code }
  }
  const { code, schema, table, column, constraint, routine } = cause
  return { name, message, stack, code, schema, table, column, constraint, routine }
}
