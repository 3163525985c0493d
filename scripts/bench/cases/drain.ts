import type { Case } from '../case.ts'
import { cpuRows } from '../cpu-meter.ts'
import { ceilingDrainer, graphileDrainer, pgBossDrainer, serviceDrainer } from '../drain.ts'
import { medianRow } from '../report.ts'
import { alternate, ratios } from '../rounds.ts'
import { startReceiver } from '../service.ts'

/** The limit of an endpoint is that of the whole dispatcher: with one receiver that is the best configuration. */
export const drain: Case = {
  name: 'drain',
  summary: 'a backlog to one receiver, against the same send without a database, and against peers',
  minutes: 25,
  async run(context) {
    const count = context.options.quick ? 5_000 : 50_000
    const receiver = await startReceiver(context)
    const options = { context, receiver, count }
    const drainers = {
      service: await serviceDrainer(options),
      ceiling: await ceilingDrainer(options),
      batched: await graphileDrainer(options, 'batched', 'own'),
      plain: await graphileDrainer(options, 'plain', 'fetch'),
      pgBoss: await pgBossDrainer(options, 'fetch'),
    }
    const { service, ceiling, batched, plain, pgBoss } = await alternate(
      context,
      {
        service: drainers.service.run,
        ceiling: drainers.ceiling.run,
        batched: drainers.batched.run,
        plain: drainers.plain.run,
        pgBoss: drainers.pgBoss.run,
      },
      { unit: '/s' },
    )
    for (const drainer of Object.values(drainers)) await drainer.stop()
    await receiver.stop()
    const against = (what: string, peer: number[], goal: number) =>
      medianRow(`service / ${what}`, ratios(service, peer), '', { atLeast: goal })
    return [
      medianRow(`service: ${count} events to one receiver`, service, '/s'),
      medianRow('ceiling: the same send without a database', ceiling, '/s'),
      medianRow('graphile-worker, batched, same send', batched, '/s'),
      medianRow('graphile-worker as a user writes it, global fetch', plain, '/s'),
      medianRow('pg-boss, in batches, global fetch', pgBoss, '/s'),
      against('ceiling', ceiling, 0.8),
      against('graphile-worker batched', batched, 1.3),
      against('graphile-worker as a user writes it', plain, 5),
      against('pg-boss', pgBoss, 5),
      ...cpuRows('delivery', drainers.service.cpu.slice(1)),
      ...cpuRows('send of the ceiling', drainers.ceiling.cpu.slice(1)),
      ...cpuRows('job of graphile-worker batched', drainers.batched.cpu.slice(1)),
    ]
  },
}
