import { sql } from 'kysely'
import type { deliveryDetail } from '../api/deliveries.ts'
import { endpointsById } from './about-endpoints.ts'
import type { PageServices } from './pages.ts'
import { endpointPath, Theirs, Time, Words } from './parts.tsx'
import { count, waitingReasons, span } from './words.ts'

export type Detail = NonNullable<Awaited<ReturnType<typeof deliveryDetail>>>

/**
 * Whether a dead event is tried again by itself, and when its endpoint is tried next; undefined where it is not. The time after
 * which it is given up is a setting of the dispatchers.
 */
export async function comesBack({ db }: PageServices, one: Detail): Promise<{ at: string } | undefined> {
  const endpoint = (await endpointsById(db, [one.endpoint_id])).get(one.endpoint_id)
  const { rows } = await sql<{ recoverable: boolean }>`
    select recoverable from webhook_history where event_id = ${one.event_id}::uuid`.execute(db)
  if (endpoint === undefined || endpoint.paused || endpoint.recover_at === null) return undefined
  return rows[0]?.recoverable === true ? { at: endpoint.recover_at } : undefined
}

/** What became of it, since when, and what next. */
export function Answer({
  one,
  back,
  recoverWindowMs,
}: {
  one: Detail
  back: { at: string } | undefined
  recoverWindowMs: number
}) {
  const { state, waiting } = one
  if (waiting !== null) return <Waits one={one} waiting={waiting} />
  return (
    <div class={state === 'dead' ? 'answer bad' : 'answer'}>
      <b>
        {state === 'delivered' ? 'Delivered' : state === 'dead' ? 'Not delivered: given up' : 'Discarded'} at{' '}
        <Time at={one.settled_at} none="an unknown time" />
        {state !== 'discarded' && `, after ${count(one.attempts, 'attempt')}`}
      </b>
      {state !== 'delivered' && (
        <p>
          <Theirs text={one.last_error} none="no reason was given" />
        </p>
      )}
      {state === 'dead' && back !== undefined && (
        <p>
          <b>Next:</b> it is tried again by itself when <Endpoint one={one} /> answers, which is looked at
          again at <Time at={back.at} />. That holds for {span(recoverWindowMs / 1_000)} after its change
          (RECOVER_WINDOW). Replay it to try now.
        </p>
      )}
      {state === 'dead' && back === undefined && (
        <p>
          <b>Next:</b> it is not tried again by itself. Get what the error names fixed, send a test to{' '}
          <Endpoint one={one} />, then replay it.
        </p>
      )}
    </div>
  )
}

function Endpoint({ one }: { one: Detail }) {
  return <a href={endpointPath(one.endpoint_id)}>its endpoint</a>
}

type Waiting = NonNullable<Detail['waiting']>

/** Why it waits, since when and until when, and what next. */
function Waits({ one, waiting: { reason, detail, since, until } }: { one: Detail; waiting: Waiting }) {
  const grave = reason === 'breaker_open' || reason === 'no_dispatcher' || reason === 'other_installation'
  return (
    <div class={grave ? 'answer bad' : 'answer'}>
      <b>
        {waitingReasons[reason]}
        {since !== null && (
          <>
            {' '}
            since <Time at={since} />
          </>
        )}
      </b>
      {one.last_error !== null && (
        <p>
          The last attempt: <Theirs text={one.last_error} />
        </p>
      )}
      {reason !== 'breaker_open' && (
        <p>
          <Words text={detail} />.
        </p>
      )}
      {until !== null && (
        <p>
          {untilWhen[reason] ?? 'That is at'} <Time at={until} />.
        </p>
      )}
      <p>
        <b>Next:</b>{' '}
        {reason === 'breaker_open' || reason === 'paused' ? (
          <>
            look at <Endpoint one={one} />:{' '}
            {reason === 'paused'
              ? 'resume it when it may receive again'
              : 'it goes out by itself when that answers'}
            .
          </>
        ) : (
          afterWaiting[reason]
        )}
      </p>
    </div>
  )
}

/** What is to come at the time that it waits for. */
const untilWhen: Partial<Record<Waiting['reason'], string>> = {
  delivering: 'A dispatcher has it until',
  backing_off: 'The next attempt is at',
  breaker_open: 'Another event tries its endpoint at',
}

const afterWaiting: Partial<Record<Waiting['reason'], string>> = {
  delivering: 'nothing to do.',
  due: 'nothing to do.',
  backing_off: 'nothing to do: it is tried again by itself.',
  at_capacity: 'nothing to do: its turn comes by itself.',
  no_dispatcher: 'start the service with ROLE=all or ROLE=dispatcher on this database.',
  other_installation: 'confirm that this database is the one of this service, as /readyz says.',
}
