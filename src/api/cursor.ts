/**
 * Where a page ended: the last row's created_at, in microseconds as Postgres prints it, and its id. A row without
 * created_at comes after all that have one. Opaque to clients.
 */
export interface Cursor {
  createdAt: string | null
  id: string
}

// Its form only: a day that does not exist is refused by Postgres, which is a 422 too.
const times = /^(?:-?infinity|\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?[+-]\d\d(?::\d\d){0,2}(?: BC)?)$/

export function encodeCursor({ createdAt, id }: Cursor): string {
  return Buffer.from(JSON.stringify([createdAt, id])).toString('base64url')
}

/** @returns undefined for what encodeCursor cannot have made */
export function decodeCursor(text: string): Cursor | undefined {
  if (!/^[\w-]+$/.test(text)) return undefined
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(text, 'base64url')))
  } catch {
    return undefined
  }
  if (!Array.isArray(value) || value.length !== 2) return undefined
  const [createdAt, id] = value as unknown[]
  if (typeof id !== 'string' || id.includes('\0') || !id.isWellFormed()) return undefined
  if (createdAt !== null && (typeof createdAt !== 'string' || !times.test(createdAt))) return undefined
  return { createdAt, id }
}

/** A page of rows that were asked for with one more than fits, to see whether there is another page. */
export function toPage<Row extends { cursor_time: string | null }>(
  rows: readonly Row[],
  limit: number,
  show: (row: Row) => { item: object; id: string },
): { items: object[]; next_cursor: string | null } {
  const shown = rows.slice(0, limit).map((row) => ({ ...show(row), createdAt: row.cursor_time }))
  const last = shown.at(-1)
  return {
    items: shown.map(({ item }) => item),
    next_cursor: rows.length > limit && last !== undefined ? encodeCursor(last) : null,
  }
}
