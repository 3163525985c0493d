import { Hono } from 'hono'
import { type Kysely, sql } from 'kysely'
import type { Database } from '../database/tables.ts'
import {
  describeMismatch,
  howToConfirm,
  type Installation,
  maySendFrom,
  readInstallation,
} from '../installation/installation.ts'
import { answer, time } from './answer.ts'
import type { Env, Services } from './context.ts'
import { jsonBody } from './json-body.ts'
import type { RouteDoc } from './openapi/route-doc.ts'
import { Problem } from './problem.ts'
import { actorOf, recordChange } from './record-change.ts'
import { installationAnswer, installationConfirm } from './schemas/installation.ts'
import { inTransaction } from './transaction.ts'
import { valid } from './validate.ts'

const path = '/api/v1/installation'

/** Whose database this is (contract, section 6: INSTALLATION), and the word of an operator that it is another's now. */
export function installationRoutes({ db, installation: running }: Services) {
  return new Hono<Env>()
    .get('/', async (c) => answer(c, 200, show(await readInstallation(db, running))))
    .post('/confirm', jsonBody(), valid('json', installationConfirm), async (c) => {
      const { name } = c.req.valid('json')
      await inTransaction(db, ['name'], async (trx) => {
        const { stored } = await readInstallation(trx, running)
        await sql`select webhook_confirm_installation(${name})`.execute(trx)
        await recordChange(trx, actorOf(c), {
          action: 'installation.confirm',
          target: 'installation',
          detail: { name, was: stored },
        })
      })
      return answer(c, 200, show(await readInstallation(db, running)))
    })
}

function show(installation: Installation): object {
  const sends = maySendFrom(installation)
  return {
    stored: installation.stored,
    stored_at: time(installation.storedAt),
    running: installation.running,
    sends,
    detail: sends ? null : inWords(installation),
  }
}

/** @throws Problem 409 where this service must stay silent: a test, too, would reach a receiver of the original */
export async function refuseToSendAsCopy(db: Kysely<Database>, running: string | undefined): Promise<void> {
  const installation = await readInstallation(db, running)
  if (!maySendFrom(installation)) throw new Problem(409, inWords(installation))
}

function inWords(installation: Installation): string {
  return `${describeMismatch(installation)}: ${howToConfirm(installation)}`
}

export const installationDocs: RouteDoc[] = [
  {
    method: 'get',
    path,
    id: 'getInstallation',
    tag: 'installation',
    summary: 'Show whose database this is, and whether this service sends from it',
    answer: { status: 200, description: 'The installation', schema: installationAnswer },
  },
  {
    method: 'post',
    path: `${path}/confirm`,
    id: 'confirmInstallation',
    tag: 'installation',
    summary: 'Say which installation sends the events of this database',
    description:
      'Services under this name begin to send within a few seconds, and those under another one, or none, stop.',
    body: { schema: installationConfirm },
    answer: { status: 200, description: 'The installation', schema: installationAnswer },
  },
]
