import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import { Loop } from '../../src/dispatch/loop.ts'
import { onCleanup } from '../support/cleanup.ts'
import { captureLog } from '../support/dispatcher.ts'
import { eventually } from '../support/eventually.ts'

async function restsOf(
  t: Parameters<typeof onCleanup>[0],
  options: { longestRestMs?: number },
): Promise<number[]> {
  const rests: number[] = []
  let endedAt: number | undefined
  const loop = new Loop({
    name: 'the work',
    intervalMs: 1,
    log: captureLog().log,
    async run() {
      if (endedAt !== undefined) rests.push(performance.now() - endedAt)
      await sleep(30)
      endedAt = performance.now()
    },
    ...options,
  })
  onCleanup(t, () => loop.stop())
  loop.start()
  await eventually(() => assert.ok(rests.length >= 3))
  return rests
}

test('work that takes its time rests for ten times as long', async (t) => {
  const rests = await restsOf(t, { longestRestMs: 5_000 })
  assert.ok(Math.min(...rests) >= 290, String(rests))
})

test('and not longer than it may', async (t) => {
  const rests = await restsOf(t, { longestRestMs: 60 })
  assert.ok(Math.min(...rests) >= 59 && Math.min(...rests) < 290, String(rests))
})
