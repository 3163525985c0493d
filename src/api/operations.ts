import { Hono } from 'hono'
import { answer } from './answer.ts'
import type { Env, Services } from './context.ts'
import { toPage } from './cursor.ts'
import { noBody } from './json-body.ts'
import {
  cancelOperation,
  findOperation,
  listOperations,
  type OperationRow,
  showOperation,
} from './operation-rows.ts'
import { notFound, Problem } from './problem.ts'
import { actorOf, recordChange } from './record-change.ts'
import { isUuid } from './schemas/delivery.ts'
import { operationList } from './schemas/operation.ts'
import { inTransaction } from './transaction.ts'
import { valid } from './validate.ts'

/** Bulk replays and discards: how far they are, and their end before their time. They are begun in bulk.ts. */
export function operationRoutes({ db }: Services) {
  const find = async (id: string): Promise<OperationRow> => {
    const row = isUuid(id) ? await findOperation(db, id) : undefined
    if (row === undefined) throw notFound('operation')
    return row
  }
  return new Hono<Env>()
    .get('/', valid('query', operationList), async (c) => {
      const { cursor, limit, ...filters } = c.req.valid('query')
      const rows = await listOperations(db, filters, { cursor, limit })
      return answer(
        c,
        200,
        toPage(rows, limit, ({ cursor_time, ...row }) => ({
          item: showOperation(row),
          id: row.id,
          cursor_time,
        })),
      )
    })
    .get('/:id', async (c) => answer(c, 200, showOperation(await find(c.req.param('id')))))
    .post('/:id/cancel', noBody(), async (c) => {
      const { id, state } = await find(c.req.param('id'))
      const cancelled = await inTransaction(db, [], async (trx) => {
        const row = await cancelOperation(trx, id)
        if (row !== undefined) {
          const detail = { kind: row.kind, done: row.done, skipped: row.skipped, matched: row.matched }
          await recordChange(trx, actorOf(c), {
            action: 'operation.cancel',
            target: `operations/${id}`,
            detail,
          })
        }
        return row
      })
      if (cancelled !== undefined) return answer(c, 200, showOperation(cancelled))
      const ended = state === 'queued' || state === 'running' ? 'done' : state
      throw new Problem(409, `this operation has ended: it is ${ended}, and what it did stays done`)
    })
}
