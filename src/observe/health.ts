import { type Kysely, sql } from 'kysely'
import type { HealthReport } from '../api/health.ts'
import { pendingMigrations, runMigrate } from '../database/migrate.ts'
import type { Database } from '../database/tables.ts'
import { partitionDaysAhead, warnBelowDays } from '../dispatch/partitions.ts'
import {
  describeMismatch,
  howToConfirm,
  maySendFrom,
  readInstallation,
} from '../installation/installation.ts'
import { findTriggerFaults } from './capture-triggers.ts'
import { findDispatchers } from './dispatchers.ts'

type Check = HealthReport['checks'][string]

const deadlineMs = 3_000

/**
 * Whether this process can do its work, for /readyz: the database answers, is migrated and is the one of this
 * installation, its triggers fire, days are made ahead, and somebody dispatches.
 * Never rejects, and answers within three seconds.
 */
export async function checkHealth(
  db: Kysely<Database>,
  { installation }: { installation?: string | undefined } = {},
): Promise<HealthReport> {
  const checks: Record<string, Check> = { database: await check(() => answers(db)) }
  if (checks.database!.status === 'ok') {
    checks.migrations = await check(() => migrated(db))
    if (checks.migrations.status === 'ok') {
      checks.installation = await check(() => confirmed(db, installation))
      checks.capture = await check(() => captured(db))
      checks.partitions = await check(() => partitioned(db))
      checks.dispatchers = await check(() => dispatched(db))
    }
  }
  const failing = Object.values(checks).some((c) => c.status === 'failing')
  return { status: failing ? 'failing' : 'ok', checks }
}

async function check(run: () => Promise<Check>): Promise<Check> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Check>((resolve) => {
    timer = setTimeout(() => resolve({ status: 'failing', detail: 'Postgres does not answer' }), deadlineMs)
  })
  try {
    return await Promise.race([run(), late])
  } catch (error) {
    const { code } = error as { code?: unknown }
    const reason = typeof code === 'string' ? code : 'no connection'
    return { status: 'failing', detail: `Postgres cannot be reached or refuses to answer (${reason})` }
  } finally {
    clearTimeout(timer)
  }
}

async function answers(db: Kysely<Database>): Promise<Check> {
  await sql`select 1`.execute(db)
  return { status: 'ok' }
}

async function migrated(db: Kysely<Database>): Promise<Check> {
  const pending = await pendingMigrations(db)
  if (pending.length === 0) return { status: 'ok' }
  return { status: 'failing', detail: runMigrate(pending) }
}

/** The names are not secret: who sees them here could not confirm without a token. */
async function confirmed(db: Kysely<Database>, running: string | undefined): Promise<Check> {
  const installation = await readInstallation(db, running)
  if (!maySendFrom(installation)) {
    const detail = `${describeMismatch(installation)}: ${howToConfirm(installation)}`
    return { status: 'failing', detail }
  }
  const { stored } = installation
  return stored === null ? { status: 'ok' } : { status: 'ok', detail: stored }
}

/** A warning only: what was captured before is sent all the same. */
async function captured(db: Kysely<Database>): Promise<Check> {
  const [first, ...others] = await findTriggerFaults(db)
  if (first === undefined) return { status: 'ok' }
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`
  return {
    status: 'warning',
    detail: `${first.what}${more}; npx webhook-outbox doctor gives the SQL that mends it`,
  }
}

/** A warning only: a process that serves the API can do its work without. */
async function dispatched(db: Kysely<Database>): Promise<Check> {
  const { listening, asleep } = await findDispatchers(db)
  if (listening > 0 || asleep) return { status: 'ok', detail: `${Math.max(listening, 1)} connected` }
  return {
    status: 'warning',
    detail:
      'no dispatcher is connected, and nothing is sent: start the service with ROLE=all or ROLE=dispatcher',
  }
}

async function partitioned(db: Kysely<Database>): Promise<Check> {
  const days = await partitionDaysAhead(db)
  if (days >= warnBelowDays) return { status: 'ok' }
  return {
    status: 'warning',
    detail: `partitions are made for ${Math.max(days, 0)} days ahead only: a dispatcher makes them, see its log`,
  }
}
