import { setTimeout as sleep } from 'node:timers/promises'
import { isUuid } from '../../api/schemas/delivery.ts'
import type { Client } from '../../client/client.ts'
import type { DeliveryDetail } from '../../client/types.ts'
import { type BulkValues, bulkOptions, confirmed, runBulk, selectionOf } from '../bulk.ts'
import { command, UsageError } from '../command.ts'
import { connect, connectionOptions } from '../connection.ts'
import { filterOptions, withEndpoint } from '../filters.ts'
import { nextSteps } from '../next-steps.ts'
import type { Output } from '../output.ts'
import { program } from '../program.ts'

export const replay = command({
  about: `Delivers settled events again, under the same event_id, to the URL that is configured now: one by its event_id, or all
that filters select. Without --yes it says what it would do, and does nothing; on a terminal it asks.

It then waits for what becomes of it, and exits with 1 where the event is dead again, or the operation failed.`,
  arguments: [{ name: 'event_id', optional: true }],
  options: { ...bulkOptions, ...connectionOptions },
  examples: ['replay 0198c2f4-7a3e-7d71-9c43-5e0a4f7a2b10 --yes', 'replay --state dead --from 24h'],
  async run({ values, args, out }) {
    const [eventId] = args
    if (eventId !== undefined) {
      checkEventId(eventId, values)
      return replayOne(out, connect(values).client, eventId, values)
    }
    const selected = selectionOf(values)
    const { client } = connect(values)
    const selection = await withEndpoint(client, values.endpoint, selected)
    // The API checks what the values are.
    const start = (body: { dry_run: boolean }) => client.startReplay({ ...selection, ...body })
    return runBulk(out, client, { verb: 'replay', start }, values)
  },
})

/** @throws UsageError: one event needs no selection, and a task's id is no event_id */
export function checkEventId(eventId: string, values: BulkValues): void {
  if (!isUuid(eventId)) {
    throw new UsageError(
      `"${eventId}" is no event_id: ${program} show ${eventId} finds it, if it is a task's id`,
    )
  }
  const given = [...Object.keys(filterOptions), 'all', 'rate'].find(
    (name) => values[name as 'all'] !== undefined,
  )
  if (given !== undefined) throw new UsageError(`an event_id and --${given} do not go together`)
}

const longestWaitMs = 15_000
const betweenLooksMs = 200

async function replayOne(
  out: Output,
  client: Client,
  eventId: string,
  values: BulkValues & { json?: boolean | undefined },
): Promise<number> {
  const event = await client.getDelivery(eventId)
  const { event_type, entity_id, state, last_error } = event
  const what = `${event_type} of ${entity_id}, which is ${state}${last_error === null ? '' : ` (${last_error})`}`
  if (!values.yes && !(await confirmed(out, `replay ${what}?`, values.json === true))) {
    if (values.json) out.json({ dry_run: true, event })
    else out.note(`It would replay ${what}. Nothing was done: add --yes to do it.`)
    return 0
  }
  await client.replayDelivery(eventId)
  const after = values['no-wait'] ? await client.getDelivery(eventId) : await settled(client, eventId)
  if (values.json) out.json(after)
  else printOutcome(out, after)
  return after.state === 'dead' ? 1 : 0
}

/** What becomes of it, or what it waits for after a while. */
async function settled(client: Client, eventId: string): Promise<DeliveryDetail> {
  const deadline = performance.now() + longestWaitMs
  for (;;) {
    const event = await client.getDelivery(eventId)
    const owed = event.state === 'pending' || event.state === 'delivering'
    const standsStill = ['paused', 'breaker_open', 'no_dispatcher', 'other_installation'].includes(
      event.waiting?.reason ?? '',
    )
    if (!owed || standsStill || performance.now() > deadline) return event
    await sleep(betweenLooksMs)
  }
}

function printOutcome(out: Output, event: DeliveryDetail): void {
  out.styled('bold', `replayed: it is ${event.state}`)
  out.fields([
    ['why', event.waiting?.detail],
    ['attempts', event.attempts],
    ['last error', event.state === 'delivered' ? null : event.last_error],
  ])
  if (event.state !== 'delivered') out.fields(nextSteps(event))
}
