import { command } from '../command.ts'
import { connect, connectionOptions } from '../connection.ts'
import { findEndpointId } from '../filters.ts'
import { printEndpoint } from '../print-endpoint.ts'

export const pause = command({
  about: 'Pauses an endpoint: what is owed to it waits for a resume, and nothing is dropped.',
  arguments: [{ name: 'id or url' }],
  options: {
    reason: { type: 'string', value: 'text', help: 'why: shown wherever it says that it is paused' },
    ...connectionOptions,
  },
  examples: ['pause https://host/hook --reason "maintenance until noon"'],
  async run({ values, args, out }) {
    const { client } = connect(values)
    const { reason } = values
    const id = await findEndpointId(client, args[0]!)
    const paused = await client.pauseEndpoint(id, reason === undefined ? {} : { reason })
    if (values.json) out.json(paused)
    else printEndpoint(out, paused)
    return 0
  },
})
