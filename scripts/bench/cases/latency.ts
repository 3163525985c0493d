import type { Case, CaseContext } from '../case.ts'
import { graphileScene, idlePace, measureLatency, type Pace, ratePace, serviceScene } from '../latency.ts'
import { type Measured, medianRow } from '../report.ts'
import { ratios } from '../rounds.ts'
import { startReceiver } from '../service.ts'
import { percentile } from '../statistics.ts'

/** Of the better of the two modes of graphile-worker, at p99. */
const GOAL = { atMost: 0.7 }

export const latencyIdle: Case = {
  name: 'latency-idle',
  summary: 'commit to receipt of single events, everybody asleep before each, against graphile-worker',
  run: (context) => measure(context, { count: context.options.quick ? 40 : 150, pace: idlePace }),
}

export const latencyOpen: Case = {
  name: 'latency-open',
  summary: 'the same, out of transactions that stay open for 50 ms after their update',
  run: (context) => measure(context, { count: context.options.quick ? 40 : 150, pace: idlePace, holdMs: 50 }),
}

export const latency200 = atRate(200)
export const latency1000 = atRate(1_000)

function atRate(rate: number): Case {
  return {
    name: `latency-${rate}`,
    summary: `the same at ${rate} events a second, Poisson arrivals`,
    run: (context) =>
      measure(context, { count: rate * (context.options.quick ? 2 : 15), pace: ratePace(rate) }),
  }
}

interface Work {
  /** Events a round. */
  count: number
  pace: Pace
  holdMs?: number
}

async function measure(context: CaseContext, { count, pace, holdMs }: Work): Promise<Measured[]> {
  const receiver = await startReceiver(context)
  const writing = holdMs === undefined ? {} : { holdMs }
  const scenes = {
    service: await serviceScene(context, receiver, writing),
    batched: await graphileScene(context, receiver, writing, 'batched'),
    plain: await graphileScene(context, receiver, writing, 'plain'),
  }
  const names = Object.keys(scenes) as (keyof typeof scenes)[]
  const p50 = { service: [] as number[], batched: [] as number[], plain: [] as number[] }
  const p99 = { service: [] as number[], batched: [] as number[], plain: [] as number[] }
  const sent: number[] = []
  for (let round = 1; round <= context.options.rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(turn + round) % names.length]!
      const { fromAnswer, fromSent } = await measureLatency(scenes[name], receiver, {
        name: `round-${round}`,
        count,
        pace,
      })
      p50[name].push(percentile(fromAnswer, 0.5))
      p99[name].push(percentile(fromAnswer, 0.99))
      if (name === 'service') sent.push(percentile(fromSent, 0.5))
      context.say(
        `round ${round}: ${name} ${p50[name].at(-1)!.toFixed(1)}, ${p99[name].at(-1)!.toFixed(1)} ms`,
      )
    }
  }
  for (const { worker, db } of Object.values(scenes)) {
    await worker.stop()
    await db.end()
  }
  await receiver.stop()
  const better = p99.batched.map((value, round) => Math.min(value, p99.plain[round]!))
  const idle = pace === idlePace
  return [
    medianRow(
      `service: p50 from COMMIT's answer to receipt`,
      p50.service,
      'ms',
      idle ? { atMost: 5 } : undefined,
    ),
    medianRow('service: p50 from sending COMMIT to receipt', sent, 'ms'),
    medianRow('graphile-worker batched: p50', p50.batched, 'ms'),
    medianRow('graphile-worker plain: p50', p50.plain, 'ms'),
    medianRow('service: p99', p99.service, 'ms'),
    medianRow('graphile-worker batched: p99', p99.batched, 'ms'),
    medianRow('graphile-worker plain: p99', p99.plain, 'ms'),
    medianRow('p99: service / the better of graphile-worker', ratios(p99.service, better), '', GOAL),
  ]
}
