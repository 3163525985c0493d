import test from 'node:test'
import { assertNothingLeaks } from '../delivery/many-deliveries.ts'

test('100,000 deliveries to every kind of receiver leave no socket and no memory behind', async (t) => {
  const began = performance.now()
  const result = await assertNothingLeaks({
    ...{ deliveries: 100_000, atOnce: 64, maxSockets: 96, receivers: 12 },
  })
  const { opened, open, growth, kernel } = result
  t.diagnostic(
    `${((performance.now() - began) / 1000).toFixed(1)} s, ${opened} sockets opened, ${open.most} at once, ` +
      `${kernel?.timeWait ?? '?'} in TIME_WAIT, ${(growth / 1e6).toFixed(1)} MB more in memory`,
  )
})
