import { command, UsageError } from '../command.ts'
import { connect, connectionOptions } from '../connection.ts'
import { filterOptions, filtersOf, withEndpoint } from '../filters.ts'
import { readPages } from '../pages.ts'
import { duration } from '../../words.ts'

export const deliveries = command({
  about: `Lists events, newest first: what is owed (pending, delivering) and what became of the others (delivered, dead,
discarded). webhook-outbox show <event_id> tells all about one of them.`,
  options: {
    ...filterOptions,
    limit: { type: 'string', value: 'n', help: 'how many at most; 50 unless told otherwise' },
    ...connectionOptions,
  },
  examples: [
    'deliveries --state dead --from 24h',
    'deliveries --task task-1',
    'deliveries --endpoint https://host/hook',
  ],
  async run({ values, out }) {
    const limit = Number(values.limit ?? 50)
    if (!Number.isInteger(limit) || limit < 1 || limit > 100_000) {
      throw new UsageError('--limit must be a whole number from 1 to 100000')
    }
    const { client } = connect(values)
    const query = await withEndpoint(client, values.endpoint, filtersOf(values))
    const { items, truncated } = await readPages(
      (cursor) => client.listDeliveries({ ...query, limit: Math.min(limit, 100), cursor }),
      limit,
    )
    if (values.json) {
      out.json({ items, truncated })
      return 0
    }
    if (items.length === 0) out.line('There are no such events.')
    else {
      out.table(
        ['event', 'created', 'type', 'of', 'state', 'attempts', 'last error', 'url'],
        items.map((one) => [
          one.event_id,
          one.created_at === null ? '-' : `${duration((Date.now() - Date.parse(one.created_at)) / 1000)} ago`,
          one.event_type,
          one.entity_id,
          one.state,
          one.attempts,
          one.last_error,
          one.url,
        ]),
      )
    }
    if (truncated) out.note('There are more: raise --limit, or narrow the filters.')
    return 0
  },
})
