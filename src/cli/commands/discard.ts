import { bulkOptions, confirmed, runBulk, selectionOf } from '../bulk.ts'
import { command } from '../command.ts'
import { connect, connectionOptions } from '../connection.ts'
import { withEndpoint } from '../filters.ts'
import { checkEventId } from './replay.ts'
import { program } from '../program.ts'

export const discard = command({
  about: `Gives up events that are owed: one by its event_id, or all that filters select. They stay on record as discarded, and can
be replayed. Without --yes it says what it would do, and does nothing; on a terminal it asks.`,
  arguments: [{ name: 'event_id', optional: true }],
  options: {
    ...bulkOptions,
    reason: { type: 'string', value: 'text', help: 'why: kept as the last error of what is discarded' },
    ...connectionOptions,
  },
  examples: ['discard --endpoint https://old-host/hook --reason "host is gone"'],
  async run({ values, args, out }) {
    const [eventId] = args
    const reason = values.reason === undefined ? {} : { reason: values.reason }
    if (eventId === undefined) {
      const selected = selectionOf(values)
      const { client } = connect(values)
      const selection = await withEndpoint(client, values.endpoint, selected)
      // The API checks what the values are.
      const start = (body: { dry_run: boolean }) => client.startDiscard({ ...selection, ...reason, ...body })
      return runBulk(out, client, { verb: 'discard', start }, values)
    }
    checkEventId(eventId, values)
    const { client } = connect(values)
    const event = await client.getDelivery(eventId)
    const what = `${event.event_type} of ${event.entity_id}`
    const asItIs = `${what}, which is ${event.state}`
    if (!values.yes && !(await confirmed(out, `discard ${asItIs}?`, values.json === true))) {
      if (values.json) out.json({ dry_run: true, event })
      else out.note(`It would discard ${asItIs}. Nothing was done: add --yes to do it.`)
      return 0
    }
    const done = await client.discardDelivery(eventId, reason)
    if (values.json) out.json(done)
    else out.line(`discarded: ${what}. ${program} replay ${eventId} brings it back.`)
    return 0
  },
})
