import { command } from '../command.ts'
import { connect, connectionOptions } from '../connection.ts'
import { findEndpointId } from '../filters.ts'
import { printEndpoint } from '../print-endpoint.ts'

export const resume = command({
  about: 'Ends the pause of an endpoint. Where its breaker is open, one delivery probes it at once.',
  arguments: [{ name: 'id or url' }],
  options: connectionOptions,
  examples: ['resume https://host/hook'],
  async run({ values, args, out }) {
    const { client } = connect(values)
    const resumed = await client.resumeEndpoint(await findEndpointId(client, args[0]!))
    if (values.json) out.json(resumed)
    else printEndpoint(out, resumed)
    return 0
  },
})
