import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type CpuProfile, runtime, timeByPart } from '../../scripts/bench/cpu-profile.ts'

const node = (id: number, functionName: string, url: string, children: number[] = []) => ({
  id,
  callFrame: { functionName, url },
  children,
})

const profile: CpuProfile = {
  nodes: [
    node(1, '(root)', '', [2, 3, 4, 6, 9]),
    node(2, '(idle)', ''),
    node(3, '(garbage collector)', ''),
    node(4, 'exchange', 'file:///app/src/delivery/send.ts', [5]),
    node(5, 'writev', 'node:net'),
    node(6, 'onStreamRead', 'node:internal/stream_base_commons', [7]),
    node(7, 'handle', 'file:///app/node_modules/pg/lib/client.js', [8]),
    node(8, 'parseRow', 'file:///app/node_modules/pg/lib/result.js'),
    node(9, 'settle', 'file:///app/src/dispatch/settle.ts'),
  ],
  samples: [9, 2, 5, 3, 6, 7, 8, 9, 9],
  timeDeltas: [10, 10, 10, 10, 10, 10, 10, 10, 10],
  startTime: 1_000,
}

it('a sample belongs to its innermost frame that has a part, and only samples within the span count', () => {
  assert.deepEqual(Object.fromEntries(timeByPart(profile, [1_020, 1_080])), {
    send: 10,
    'garbage collection': 10,
    [runtime]: 10,
    driver: 10,
    claim: 10,
    settle: 10,
  })
})
