import { z } from 'zod'
import { paging, parameter, timeParameter } from './query.ts'

export const auditList = z
  .strictObject({
    actor: parameter().optional().describe('Name of a token, or anonymous'),
    action: parameter().optional().describe('Such as delivery.replay'),
    target: parameter().optional().describe('What was changed, such as endpoints/<id>'),
    from: timeParameter.optional().describe('Made at this time or later'),
    to: timeParameter.optional().describe('Made before this time'),
    ...paging,
  })
  .superRefine(({ cursor }, context) => {
    // The id of a row of the audit is a bigint.
    if (cursor === undefined || (cursor.createdAt !== null && /^\d{1,18}$/.test(cursor.id))) return
    context.addIssue({
      code: 'custom',
      path: ['cursor'],
      message: 'must be the next_cursor of a page of this list',
    })
  })
