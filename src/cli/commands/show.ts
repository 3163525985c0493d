import { isUuid } from '../../api/schemas/delivery.ts'
import type { Client } from '../../client/client.ts'
import type { Delivery, DeliveryDetail, Endpoint } from '../../client/types.ts'
import { command } from '../command.ts'
import { connect, connectionOptions } from '../connection.ts'
import { nextSteps } from '../next-steps.ts'
import { orNothing } from '../or-nothing.ts'
import type { Output } from '../output.ts'
import { whyNoEvent } from '../why-no-event.ts'
import { duration, moment } from '../../words.ts'

export const show = command({
  about: `Shows an event: its state, why it has not arrived, what to do next, and every attempt. In place of an event_id a
task's id will do: its newest event is shown, and where it has none, why not.

It exits with 1 where there is no such event, and where it is dead.`,
  arguments: [{ name: 'event_id or task_id' }],
  options: {
    payload: { type: 'boolean', help: 'print the body that receivers get, too' },
    ...connectionOptions,
  },
  examples: ['show 0198c2f4-7a3e-7d71-9c43-5e0a4f7a2b10', 'show task-1'],
  async run({ values, args, out }) {
    const { client } = connect(values)
    const given = args[0]!
    const found = await find(client, given)
    if (found === undefined) {
      const reason = await whyNoEvent(client, given)
      if (values.json) out.json({ event: null, ...reason })
      else
        out.fields([
          ['why', reason.why],
          ['next', reason.next],
          ['or', reason.or],
        ])
      return 1
    }
    if (values.json) out.json(found.event)
    else {
      const { state, endpoint_id } = found.event
      const arrived = state === 'delivered'
      print(
        out,
        found,
        arrived ? undefined : await orNothing(client.getEndpoint(endpoint_id)),
        values.payload,
      )
    }
    return found.event.state === 'dead' ? 1 : 0
  },
})

interface Found {
  event: DeliveryDetail
  /** Of the same task. */
  others: Delivery[]
}

/** By its event_id, or else the newest of a task. */
async function find(client: Client, given: string): Promise<Found | undefined> {
  if (isUuid(given)) {
    const event = await orNothing(client.getDelivery(given))
    if (event !== undefined) return { event, others: [] }
  }
  const [newest, ...others] = (await client.listDeliveries({ task_id: given, limit: 20 })).items
  return newest && { event: await client.getDelivery(newest.event_id), others }
}

function print(
  out: Output,
  { event, others }: Found,
  endpoint: Endpoint | undefined,
  withPayload: boolean | undefined,
): void {
  const { waiting } = event
  out.styled('bold', `${event.event_type} ${event.event_id}`)
  out.fields([
    ['state', event.state],
    ['why', waiting === null ? settledReason(event) : `${waiting.reason}: ${waiting.detail}`],
    ['until', moment(waiting?.until)],
    ['about', `${event.entity_type} ${event.entity_id}`],
    ['task', event.entity_id === event.task_id ? null : event.task_id],
    ['ticket', event.ticket_id],
    ['project', event.project_id],
    ['agent', event.entity_id === event.agent_id ? null : event.agent_id],
    ['url', event.url],
    ['endpoint', event.endpoint_id],
    // Without a dispatcher nothing flows, whatever the endpoint did before.
    ['it is', waiting?.reason === 'no_dispatcher' ? null : endpoint?.detail],
    ['created', moment(event.created_at)],
    ['settled', moment(event.settled_at)],
    ['attempts', event.attempts],
    ['last error', event.state === 'delivered' ? null : event.last_error],
  ])
  const steps = nextSteps(event, endpoint)
  if (steps.length > 0) {
    out.heading('Next')
    out.fields(steps, '  ')
  }
  printAttempts(out, event)
  if (withPayload) {
    out.heading('Payload')
    out.text(JSON.stringify(event.payload, null, 2))
  }
  if (others.length > 0) {
    out.heading('Earlier events of the same task')
    for (const other of others) out.line(`  ${other.event_id}  ${other.event_type}  ${other.state}`)
  }
}

/** What the service itself discards, and why. */
const discardReasons: Record<string, string> = {
  expired: 'it was owed for longer than MAX_OWED_AGE (expired)',
  url_removed: 'the webhook_url was taken away, and no other applied (url_removed)',
}

function settledReason({ state, last_error }: DeliveryDetail): string {
  if (state === 'delivered') return 'the receiver answered with a 2xx'
  if (state === 'dead') return `given up: ${last_error ?? 'its attempts are used up'}`
  return discardReasons[last_error ?? ''] ?? last_error ?? 'discarded'
}

function printAttempts(out: Output, { attempt_log, attempts }: DeliveryDetail): void {
  out.heading('Attempts')
  if (attempt_log.length === 0) {
    out.line(
      attempts === 0
        ? '  none yet'
        : '  none on record: one may be under way, or they are past their retention',
    )
    return
  }
  out.table(
    ['#', 'started', 'took', 'status', 'outcome', 'response'],
    attempt_log.map((one) => [
      one.attempt,
      one.started_at,
      one.duration_ms === null ? '-' : duration(one.duration_ms / 1000),
      one.status === null ? '-' : String(one.status),
      one.error ?? 'delivered',
      cut(one.response ?? ''),
    ]),
    '  ',
  )
}

function cut(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}… (${text.length} characters)` : text
}
