import type { Kysely } from 'kysely'
import type { Database } from '../database/tables.ts'
import { Loop } from '../dispatch/loop.ts'
import type { Log } from '../observe/log.ts'
import {
  describeMismatch,
  howToConfirm,
  maySendFrom,
  readInstallation,
  storeInstallation,
} from './installation.ts'

/**
 * Keeps a copy silent (contract, section 6: INSTALLATION). It looks once a second whether the name that the database holds is
 * the one that this process runs under; where none is stored at its first look, it stores its own.
 *
 *   shut ──first look: no name is stored, or this one──► open
 *   shut ──an operator confirms this name──► open
 *   open ──an operator confirms another name──► shut
 *
 * It starts shut. A look that fails leaves it as it was: without Postgres nothing can be claimed. Each turn is logged once.
 */
export interface GateOptions {
  db: Kysely<Database>
  log: Log
  /** INSTALLATION. */
  name: string | undefined
}

const intervalMs = 1_000

export interface InstallationGate {
  loop: Loop
  maySend: () => boolean
}

export function createInstallationGate({ db, log, name }: GateOptions): InstallationGate {
  let open = false
  let looked = false
  const loop = new Loop({
    name: 'the look at whose database this is',
    intervalMs,
    log,
    async run() {
      if (!looked && name !== undefined) await storeInstallation(db, name)
      const installation = await readInstallation(db, name)
      const { stored, running } = installation
      const was = open
      open = maySendFrom(installation)
      if (!open && (was || !looked)) {
        const mend = howToConfirm(installation)
        log.error({ stored, running, mend }, describeMismatch(installation))
      }
      if (open && looked && !was) log.info({ stored, running }, 'the installation is confirmed: sending')
      looked = true
    },
  })
  return { loop, maySend: () => open }
}
