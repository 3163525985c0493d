import { Hono } from 'hono'
import { type Kysely, type Transaction } from 'kysely'
import type { Database } from '../database/tables.ts'
import { fingerprintOf, newSecret } from '../delivery/signature.ts'
import { answer } from './answer.ts'
import type { Env, Services } from './context.ts'
import { jsonBody } from './json-body.ts'
import { notFound, Problem } from './problem.ts'
import { actorOf, recordChange } from './record-change.ts'
import { secretAdd } from './schemas/secret.ts'
import { lockSecrets, readSecrets, type SecretOwner, writeSecrets } from './secret-rows.ts'
import { inTransaction } from './transaction.ts'
import { valid } from './validate.ts'

/** One that signs, and one that replaces it. */
const most = 2

/**
 * Signing secrets of endpoints, or of projects. A secret is answered once, by the request that adds it; after that only its
 * fingerprint is.
 */
export function secretRoutes({ db }: Services, owner: SecretOwner) {
  const idOf = (given: string) => (owner === 'endpoints' ? given.toLowerCase() : given)
  return new Hono<Env>()
    .get('/:id/secrets', async (c) => {
      const secrets = await readSecrets(db, owner, idOf(c.req.param('id')))
      if (secrets === undefined) throw none(owner)
      const items = secrets.toReversed().map((secret) => ({ fingerprint: fingerprintOf(secret) }))
      return answer(c, 200, { items, next_cursor: null })
    })
    .post('/:id/secrets', jsonBody({ optional: true }), valid('json', secretAdd), async (c) => {
      const { secret = newSecret() } = c.req.valid('json')
      const id = idOf(c.req.param('id'))
      const fingerprint = fingerprintOf(secret)
      await change(db, owner, id, async (trx, secrets) => {
        refuseToAdd(secret, secrets)
        await writeSecrets(trx, owner, id, [...secrets, secret])
        const audit = { action: 'secret.add', target: `${owner}/${id}`, detail: { fingerprint } } as const
        await recordChange(trx, actorOf(c), audit)
      })
      return answer(c, 201, { fingerprint, secret })
    })
    .delete('/:id/secrets', async (c) => {
      await remove(db, owner, idOf(c.req.param('id')), actorOf(c), () => true)
      return c.body(null, 204)
    })
    .delete('/:id/secrets/:fingerprint', async (c) => {
      const fingerprint = c.req.param('fingerprint').toLowerCase()
      const removed = await remove(
        db,
        owner,
        idOf(c.req.param('id')),
        actorOf(c),
        (secret) => fingerprintOf(secret) === fingerprint,
      )
      if (removed === 0) throw new Problem(404, 'there is no secret with this fingerprint: list them')
      return c.body(null, 204)
    })
}

function none(owner: SecretOwner): Problem {
  return notFound(owner === 'endpoints' ? 'endpoint' : 'project')
}

function refuseToAdd(secret: string, secrets: readonly string[]): void {
  if (secrets.includes(secret)) throw new Problem(409, 'this secret signs already')
  if (secrets.length < most) return
  const [oldest] = secrets
  throw new Problem(
    409,
    `there are two secrets already, and both sign: remove the one that is replaced first (the older one is ${fingerprintOf(oldest!)})`,
  )
}

/** @returns how many were removed */
async function remove(
  db: Kysely<Database>,
  owner: SecretOwner,
  id: string,
  actor: string,
  unwanted: (secret: string) => boolean,
): Promise<number> {
  return change(db, owner, id, async (trx, secrets) => {
    const removed = secrets.filter(unwanted)
    if (removed.length === 0) return 0
    await writeSecrets(
      trx,
      owner,
      id,
      secrets.filter((secret) => !unwanted(secret)),
    )
    const detail = { fingerprints: removed.map(fingerprintOf) }
    await recordChange(trx, actor, { action: 'secret.remove', target: `${owner}/${id}`, detail })
    return removed.length
  })
}

async function change<T>(
  db: Kysely<Database>,
  owner: SecretOwner,
  id: string,
  run: (trx: Transaction<Database>, secrets: string[]) => Promise<T>,
): Promise<T> {
  return inTransaction(db, [], async (trx) => {
    const secrets = await lockSecrets(trx, owner, id)
    if (secrets === undefined) throw none(owner)
    return run(trx, secrets)
  })
}
