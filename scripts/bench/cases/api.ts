import { freePort } from '../../../src/database/cluster/free-port.ts'
import type { Case } from '../case.ts'
import { startChild } from '../child.ts'
import type { ApiOrder, ApiResult } from '../children/api-load.ts'
import { medianRow } from '../report.ts'
import { alternate, ratios } from '../rounds.ts'
import { until } from '../service.ts'
import { connect } from '../stage.ts'
import { seedTasks } from '../tasks.ts'

const CONNECTIONS = 64

export const api: Case = {
  name: 'api',
  summary: `PATCH of tasks to completed over ${CONNECTIONS} connections, captured and not, no dispatcher running`,
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
    const patch = (trigger: 'enable' | 'disable') => async (round: string) => {
      const ticket = `${round}-${trigger}`
      await db.query('truncate webhook_outbox')
      await db.query(`alter table tasks ${trigger} trigger webhook_capture_task`)
      await seedTasks(db, ticket, 'http://127.0.0.1:9/hook', count)
      const order: ApiOrder = { url, ticket, count, connections: CONNECTIONS }
      const { elapsedMs, ok } = await load.ask<ApiResult>(order, 120_000)
      const { rows } = await db.query<{ events: number }>(
        'select count(*)::integer as events from webhook_outbox',
      )
      const expected = trigger === 'enable' ? count : 0
      if (ok !== count || rows[0]!.events !== expected)
        throw new Error(`wrong result: of ${count} requests ${ok} succeeded, with ${rows[0]!.events} events`)
      return (count * 1_000) / elapsedMs
    }
    const { captured, bare } = await alternate(
      context,
      { captured: patch('enable'), bare: patch('disable') },
      { unit: '/s' },
    )
    await Promise.all([service.stop(), load.stop()])
    await db.end()
    return [
      medianRow(`PATCH to completed, ${CONNECTIONS} connections, captured`, captured, '/s'),
      medianRow('the same, capture trigger disabled', bare, '/s'),
      medianRow('captured / without', ratios(captured, bare), '', { atLeast: 0.85 }),
    ]
  },
}
