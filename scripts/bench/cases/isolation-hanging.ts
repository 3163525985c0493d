import { arrivalRate, forget, owe, pause } from '../backlog.ts'
import type { Case } from '../case.ts'
import { medianRow } from '../report.ts'
import { defaultLimits, startDispatcher, startReceiver } from '../service.ts'
import { connect } from '../stage.ts'
import { tidy } from '../tasks.ts'

const ENDPOINTS = 20
const phases = ['alone', 'among', 'begin', 'never'] as const
type Phase = (typeof phases)[number]

/**
 * The rate of 20 endpoints, alone, among 40 that answer, with 20 that answered until now and begin to hang, and with 20
 * that nobody has sent to before and that hang. All 40 have more to take than the 20 are measured with.
 */
export const isolationHanging: Case = {
  name: 'isolation-hanging',
  summary: `the rate of ${ENDPOINTS} endpoints while ${ENDPOINTS} others hang for the whole timeout`,
  async run(context) {
    const { rounds, quick } = context.options
    const each = quick ? 40 : 300
    const url = await context.stage.createDatabase('isolation_hanging')
    const db = await connect(url)
    const receiver = await startReceiver(context)
    const other = await startReceiver(context)
    const [urls, others] = [receiver.urls(ENDPOINTS), other.urls(ENDPOINTS)]
    const dispatcher = await startDispatcher(context, url, db, defaultLimits)

    const run = async (name: string, phase: Phase) => {
      const backlog = { group: `${name}-${phase}`, urls, each }
      const besides = phase === 'alone' ? [] : others
      await pause(db, [...urls, ...besides])
      await owe(db, backlog)
      await owe(db, { group: `${name}-${phase}-others`, urls: besides, each })
      if (phase === 'never')
        await db.query('update webhook_endpoints set slots = default, slow = default where url = any($1)', [
          others,
        ])
      await tidy(db)
      const hanging = phase === 'begin' || phase === 'never'
      await other.answerAfter(hanging ? null : 0)
      const rate = await arrivalRate({
        db,
        dispatcher,
        receivers: [receiver],
        backlog,
        besides,
        timeoutMs: 60_000,
      })
      await pause(db, others)
      if (hanging) await other.answerAfter(0)
      await forget(db, others)
      await db.query(
        `update webhook_endpoints set breaker = 'closed', failures = 0, failing_since = null, probe_at = null, opened_at = null`,
      )
      await other.take()
      return rate
    }
    for (const phase of ['alone', 'among'] as const) await run('warm-up', phase)
    const rates: Record<Phase, number[]> = { alone: [], among: [], begin: [], never: [] }
    for (let round = 1; round <= rounds; round++) {
      for (const phase of phases) rates[phase].push(await run(`round-${round}`, phase))
      context.say(
        `round ${round}: ${phases.map((phase) => `${phase} ${rates[phase].at(-1)!.toFixed(0)}/s`).join(', ')}`,
      )
    }
    await dispatcher.stop()
    await Promise.all([receiver.stop(), other.stop(), db.end()])

    const ratio = (phase: Phase, to: Phase) => rates[phase].map((rate, round) => rate / rates[to][round]!)
    return [
      medianRow(`${ENDPOINTS} endpoints alone`, rates.alone, '/s'),
      medianRow(`the same among ${2 * ENDPOINTS} that answer`, rates.among, '/s'),
      medianRow('while the others begin to hang (10 s)', rates.begin, '/s'),
      medianRow('others that begin to hang / alone', ratio('begin', 'alone'), '', { atLeast: 0.7 }),
      medianRow('others that begin to hang / others that answer', ratio('begin', 'among'), '', {
        atLeast: 0.7,
      }),
      medianRow('others that never answered / alone', ratio('never', 'alone'), '', { atLeast: 0.7 }),
      medianRow('others that never answered / others that answer', ratio('never', 'among'), '', {
        atLeast: 0.7,
      }),
    ]
  },
}
