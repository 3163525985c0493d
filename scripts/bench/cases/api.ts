import { freePort } from '../../../src/database/cluster/free-port.ts'
import type { Case } from '../case.ts'
import { startChild } from '../child.ts'
import type { ApiOrder, ApiResult } from '../children/api-load.ts'
import { type CpuByPart, cpuMeter, cpuRows } from '../cpu-meter.ts'
import { cpuMicroseconds } from '../cpu-time.ts'
import { medianRow } from '../report.ts'
import { alternate, ratios } from '../rounds.ts'
import { until } from '../service.ts'
import { connect } from '../stage.ts'
import { seedTasks, tidy } from '../tasks.ts'
import { createTriggers, enableTrigger, type Trigger } from '../writers.ts'

const CONNECTIONS = 64

export const api: Case = {
  name: 'api',
  summary: `PATCH of tasks to completed over ${CONNECTIONS} connections, captured, with a constant row, and not; no dispatcher running`,
  async run(context) {
    const { stage, options } = context
    const count = options.quick ? 4_000 : 20_000
    const databaseUrl = await stage.createDatabase('api')
    const db = await connect(databaseUrl)
    const port = await freePort()
    const service = await startChild('src/main.ts', {
      guard: stage.guard,
      env: {
        DATABASE_URL: databaseUrl,
        ROLE: 'api',
        HOST: '127.0.0.1',
        PORT: String(port),
        LOG_LEVEL: 'info',
        ADDRESS_POLICY: 'loopback',
      },
    })
    const url = `http://127.0.0.1:${port}`
    const load = await startChild('scripts/bench/children/api-load.ts', { guard: stage.guard })
    await until(service, 30_000, 'the API is ready', () =>
      fetch(`${url}/readyz`).then(
        (answer) => answer.text().then(() => answer.ok),
        () => false,
      ),
    )
    await createTriggers(db)
    const cpu: Partial<Record<Trigger, CpuByPart[]>> = {}
    const patch = (trigger: Trigger) => async (round: string) => {
      const ticket = `${round}-${trigger}`
      await db.query('truncate webhook_outbox')
      await enableTrigger(db, trigger)
      await seedTasks(db, ticket, 'http://127.0.0.1:9/hook', count)
      const order: ApiOrder = { url, ticket, count, connections: CONNECTIONS }
      await tidy(db)
      const used = cpuMeter({
        'the API': () => cpuMicroseconds(service.pid),
        Postgres: () => stage.postgresCpu(),
        'the clients': () => cpuMicroseconds(load.pid),
      })
      const { elapsedMs, ok } = await load.ask<ApiResult>(order, 120_000)
      ;(cpu[trigger] ??= []).push(used(count))
      const { rows } = await db.query<{ events: number }>(
        'select count(*)::integer as events from webhook_outbox',
      )
      const expected = trigger === 'none' ? 0 : count
      if (ok !== count || rows[0]!.events !== expected)
        throw new Error(`wrong result: of ${count} requests ${ok} succeeded, with ${rows[0]!.events} events`)
      return (count * 1_000) / elapsedMs
    }
    const { captured, constant, bare } = await alternate(
      context,
      { captured: patch('capture'), constant: patch('constant'), bare: patch('none') },
      { unit: '/s' },
    )
    await Promise.all([service.stop(), load.stop()])
    await db.end()
    return [
      medianRow(`PATCH to completed, ${CONNECTIONS} connections, captured`, captured, '/s'),
      medianRow('with a trigger that inserts a constant row', constant, '/s'),
      medianRow('without', bare, '/s'),
      medianRow('captured / without', ratios(captured, bare), '', { atLeast: 0.85 }),
      medianRow('constant row / without', ratios(constant, bare), ''),
      // That of the warm-up does not count.
      ...(['capture', 'constant', 'none'] as const).flatMap((trigger) =>
        cpuRows(`request, ${trigger}`, cpu[trigger]?.slice(1) ?? []),
      ),
    ]
  },
}
