import type { Endpoint, Page } from '../../client/types.ts'
import { command, UsageError } from '../command.ts'
import { connect, connectionOptions } from '../connection.ts'
import { findEndpointId } from '../filters.ts'
import type { Output } from '../output.ts'
import { readPages } from '../pages.ts'
import { duration } from '../../words.ts'
import { printEndpoint } from '../print-endpoint.ts'

const most = 1_000

export const endpoints = command({
  about: `Lists endpoints, which are URLs without query and fragment: how each fares, and what it is owed. With an id or a URL it
shows all about that one.`,
  arguments: [{ name: 'id or url', optional: true }],
  options: {
    breaker: { type: 'string', value: 'state', help: 'only closed, open or probing ones' },
    paused: { type: 'boolean', help: 'only those that are paused' },
    owed: { type: 'boolean', help: 'only those that are owed something' },
    ...connectionOptions,
  },
  examples: ['endpoints --owed', 'endpoints https://host/hook'],
  async run({ values, args, out }) {
    const { breaker, paused, owed, json } = values
    const filtered = breaker !== undefined || paused || owed
    if (args[0] !== undefined && filtered) throw new UsageError('one endpoint and filters do not go together')
    const { client } = connect(values)
    if (args[0] !== undefined) {
      const endpoint = await client.getEndpoint(await findEndpointId(client, args[0]))
      if (json) out.json(endpoint)
      else printEndpoint(out, endpoint)
      return 0
    }
    const query = {
      breaker,
      paused: paused ? 'true' : undefined,
      owed: owed ? 'true' : undefined,
      limit: 100,
    }
    const found = await readPages<Endpoint>(
      (cursor): Promise<Page<Endpoint>> => client.listEndpoints({ ...query, cursor }),
      most,
    )
    if (json) out.json(found)
    else list(out, found.items)
    if (found.truncated) out.note(`There are more than ${most}: narrow the filters.`)
    return 0
  },
})

function list(out: Output, items: Endpoint[]): void {
  if (items.length === 0) return out.line('There are no such endpoints.')
  out.table(
    ['endpoint', 'url', 'status', 'owed', 'oldest due', 'last error'],
    items.map((one) => [
      one.id,
      one.url,
      one.status,
      one.owed,
      one.oldest_due_seconds === null ? '-' : duration(one.oldest_due_seconds),
      one.last_error,
    ]),
  )
}
