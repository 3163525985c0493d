import test from 'node:test'
import { assertNothingLeaks } from './many-deliveries.ts'

// Twenty times as many: tests/faults/sockets.fault.ts.
test('5,000 deliveries to every kind of receiver leave no socket and no memory behind', async () => {
  await assertNothingLeaks({ deliveries: 5_000, atOnce: 32, maxSockets: 48, receivers: 8 })
})
