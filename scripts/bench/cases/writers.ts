import type { Case } from '../case.ts'
import { medianRow } from '../report.ts'
import { ratios } from '../rounds.ts'
import { CLIENTS, compareWriters, insertByHand, lookUp, type Party, update } from '../writers.ts'

const webhook = 'http://127.0.0.1:9/hook'
const autocommitted = (trigger: Party['trigger'], writes: boolean): Party => ({
  trigger,
  script: [update],
  writes,
})

export const writers: Case = {
  name: 'writers',
  summary: 'autocommitted completions by 16 clients: captured, against a trigger that inserts a constant row',
  async run(context) {
    const { by, rates } = await compareWriters(context, webhook, {
      captured: autocommitted('capture', true),
      constant: autocommitted('constant', true),
      bare: autocommitted('none', false),
    })
    return [
      medianRow(`captured completions by ${CLIENTS} clients (${by})`, rates.captured, '/s'),
      medianRow('with a trigger that inserts a constant row', rates.constant, '/s'),
      medianRow('bare', rates.bare, '/s'),
      medianRow('captured / constant row', ratios(rates.captured, rates.constant), '', { atLeast: 0.95 }),
      medianRow('captured / bare', ratios(rates.captured, rates.bare), ''),
    ]
  },
}

export const writersNoUrl: Case = {
  name: 'writers-no-url',
  summary: 'the same with no URL anywhere, against an empty trigger',
  async run(context) {
    const { by, rates } = await compareWriters(context, null, {
      captured: autocommitted('capture', false),
      empty: autocommitted('empty', false),
      bare: autocommitted('none', false),
    })
    return [
      medianRow(`completions without a URL by ${CLIENTS} clients (${by})`, rates.captured, '/s'),
      medianRow('with an empty trigger', rates.empty, '/s'),
      medianRow('bare', rates.bare, '/s'),
      medianRow('captured / empty trigger', ratios(rates.captured, rates.empty), '', { atLeast: 0.95 }),
    ]
  },
}

const begin = { sql: 'begin' }
const commit = { sql: 'commit' }

export const writersTransaction: Case = {
  name: 'writers-transaction',
  summary: 'the same in explicit transactions, against a hand-written outbox, with NOTIFY and without',
  async run(context) {
    const byHand = [begin, update, lookUp, insertByHand]
    const { by, rates } = await compareWriters(context, webhook, {
      captured: { trigger: 'capture', script: [begin, update, commit], writes: true },
      byHand: { trigger: 'none', script: [...byHand, commit], writes: true },
      notifying: {
        trigger: 'none',
        script: [...byHand, { sql: 'notify bench_outbox' }, commit],
        writes: true,
      },
    })
    return [
      medianRow(`transactions, captured, by ${CLIENTS} clients (${by})`, rates.captured, '/s'),
      medianRow('hand-written outbox', rates.byHand, '/s'),
      medianRow('hand-written outbox with NOTIFY', rates.notifying, '/s'),
      medianRow('captured / hand-written', ratios(rates.captured, rates.byHand), '', { atLeast: 1 }),
      medianRow('captured / hand-written with NOTIFY', ratios(rates.captured, rates.notifying), '', {
        atLeast: 2,
      }),
    ]
  },
}
