import { command } from '../command.ts'
import { connect, connectionOptions } from '../connection.ts'
import { findEndpointId } from '../filters.ts'

export const test = command({
  about: `Sends one webhook.test to an endpoint, from the service, and tells what came of it; also where the endpoint is paused or
its breaker is open.

It exits with 1 where the endpoint did not answer with a 2xx.`,
  arguments: [{ name: 'id or url' }],
  options: connectionOptions,
  examples: ['test https://host/hook'],
  async run({ values, args, out }) {
    const { client } = connect(values)
    const id = await findEndpointId(client, args[0]!)
    const result = await client.testEndpoint(id)
    if (values.json) out.json(result)
    else {
      out.styled(
        result.delivered ? 'green' : 'red',
        `${result.url} ${result.delivered ? 'took it' : 'did not take it'}`,
      )
      out.fields([
        ['status', result.status],
        ['error', result.error],
        ['took', `${result.duration_ms}ms`],
        ['answer', result.response],
        ['webhook-id', result.event_id],
      ])
    }
    return result.delivered ? 0 : 1
  },
})
