import pg from 'pg'
import { invalid, Problem } from './problem.ts'

/**
 * What an error of Postgres means to the client. No text of a statement and none of the values in the message's
 * detail reach the answer: those may hold the secret of a URL.
 *
 * 422: the data is refused by a constraint, a type or a trigger, the host's own ones included.
 * 503: Postgres is away, overloaded, read-only or not migrated; the same request may succeed later.
 *
 * @param fields the properties that the client may send: a constraint on one of them is pointed to
 * @returns undefined where the error is neither, and so a defect of this service
 */
export function databaseProblem(error: unknown, fields: readonly string[] = []): Problem | undefined {
  if (error instanceof pg.DatabaseError) return fromSqlState(error, fields)
  return isConnectionFailure(error) ? unavailable('the database cannot be reached now', error) : undefined
}

/** A transaction that lost against another one, and may win when it is run again. */
export function isConflict(error: unknown): boolean {
  return error instanceof pg.DatabaseError && (error.code === '40001' || error.code === '40P01')
}

/** Whether a row with the same id is in the way, and not another unique constraint of the host's. */
export function isDuplicateId(error: unknown, table: string): boolean {
  if (!(error instanceof pg.DatabaseError) || error.code !== '23505' || error.table !== table) return false
  return columnOf(error) === 'id' || error.constraint === `${table}_pkey`
}

function fromSqlState(error: pg.DatabaseError, fields: readonly string[]): Problem | undefined {
  const code = error.code ?? ''
  switch (code.slice(0, 2)) {
    case '08':
    case '28':
    case '3D':
    case '53':
    case '57':
    case '58':
      return unavailable('the database cannot answer now', error)
    case '25':
    case '40':
    case '55':
      return unavailable('the database could not take the change now', error)
  }
  if (['42P01', '42703', '42883', '3F000'].includes(code)) {
    return unavailable('the database lacks a table, column or function: run migrate', error)
  }
  // The policy of a host's row-level security refuses a row; any other 42501 is a missing grant.
  if (code === '42501' && error.routine !== 'ExecWithCheckOptions') {
    return unavailable("the service's database role lacks a privilege", error)
  }
  const refused =
    ['21', '22', '23', '27', '2F', '38', '39', '44', '54', 'P0'].includes(code.slice(0, 2)) ||
    ['42501', '42804', '428C9', '0A000'].includes(code) ||
    // A trigger may raise any code of its own.
    error.routine === 'exec_stmt_raise'
  return refused ? refusal(error, fields) : undefined
}

function refusal(error: pg.DatabaseError, fields: readonly string[]): Problem {
  const column = columnOf(error)
  const known = column !== undefined && fields.includes(column)
  const problem = invalid([
    { pointer: known ? `#/${column}` : '#', detail: explain(error, known ? undefined : column) },
  ])
  problem.cause = error
  return problem
}

function columnOf({ code, column, detail, routine }: pg.DatabaseError): string | undefined {
  if (column) return column
  // Of the host's columns that are written, only status can be an enum.
  if (code === '22P02' && routine === 'enum_in') return 'status'
  // "Key (project_id)=(x) is not present in …", in whatever language: only the column is taken from it.
  return /\(([a-z_][\w$]*)\)=\(/i.exec(detail ?? '')?.[1]
}

function explain(error: pg.DatabaseError, column: string | undefined): string {
  const { code = '', constraint, message, routine } = error
  const by = constraint ? ` by the constraint "${constraint}" of the database` : ' by the database'
  const where = column === undefined ? '' : ` (column "${column}")`
  if (routine === 'exec_stmt_raise') {
    return `is refused by a trigger of the database: ${message.slice(0, 500)}`
  }
  switch (code) {
    case '23502':
      return `must have a value${where}: the database does not allow null`
    case '23503':
      return `refers to a row that does not exist${where}: refused${by}`
    case '23505':
      return `must be unique${where}: refused${by}`
    case '22001':
      return 'is longer than the column of the database allows'
    case '22003':
      return 'is a number outside the range that the database allows'
    case '22P02':
      return `is not a value that the database's type allows${where}`
    case '42501':
      return 'is refused by a row-level security policy of the database'
    default:
      return `is refused${by}${where} (SQLSTATE ${code})`
  }
}

function unavailable(detail: string, cause: unknown): Problem {
  return new Problem(503, `${detail}; nothing is known to have changed, try again`, {
    headers: { 'retry-after': '2' },
    cause,
  })
}

const connectionCodes = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN'],
  ...['EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'EADDRNOTAVAIL', 'ENOENT', 'EMFILE'],
])

/** pg has codes for what the socket reports, and only words for what it and its pool notice themselves. */
function isConnectionFailure(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code } = error as NodeJS.ErrnoException
  if (code !== undefined && connectionCodes.has(code)) return true
  if (error instanceof AggregateError) return error.errors.some(isConnectionFailure)
  return /timeout exceeded when trying to connect|connection terminated|not queryable|read timeout|connection error|calling end on the pool|client was closed|driver has already been destroyed/i.test(
    error.message,
  )
}
