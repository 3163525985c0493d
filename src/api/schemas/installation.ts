import { z } from 'zod'
import { unknownTime } from './answer.ts'
import { text } from './text.ts'

export const installationConfirm = z.strictObject({
  name: text({ max: 200, oneLine: true })
    .nullable()
    .describe(
      'The INSTALLATION that sends from now on; null: the name is forgotten, and services without one send',
    ),
})

export const installationAnswer = z
  .object({
    stored: z.string().nullable().describe('The name that the database holds; null where none is stored'),
    stored_at: unknownTime.describe('When it was stored first, or confirmed last'),
    running: z.string().nullable().describe('INSTALLATION of this service; null where it has none'),
    sends: z.boolean().describe('Whether services under the running name send: see detail where they do not'),
    detail: z.string().nullable().describe('Why nothing is sent, and what to do; null where it is sent'),
  })
  .meta({ id: 'Installation', description: 'Whose database this is, and who runs on it' })
