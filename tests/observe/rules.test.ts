import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { parser } from '@prometheus-io/lezer-promql'
import { parse } from 'yaml'
import { commands } from '../../src/cli/commands.ts'
import { kyselyOver } from '../../src/database/connection.ts'
import { createMetrics } from '../../src/observe/metrics/metrics.ts'
import { onCleanup } from '../support/cleanup.ts'
import { createTestDatabase } from '../support/database.ts'
import { parseExposition } from '../support/exposition.ts'

interface Rule {
  alert: string
  expr: string
  for?: string
  labels: { severity: string }
  annotations: { summary: string; action: string }
}

interface Panel {
  title: string
  type: string
  gridPos: { x: number; y: number; w: number; h: number }
  targets?: { expr: string }[]
}

const read = (path: string) => readFileSync(join(import.meta.dirname, '../../src/observe', path), 'utf8')
const rules = (parse(read('prometheus/alerts.yaml')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
)
const panels = (JSON.parse(read('grafana/webhook-outbox.json')) as { panels: Panel[] }).panels
const queries = [
  ...rules.map(({ alert, expr }) => ({ where: alert, expr })),
  ...panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ where: title, expr }))),
]

const database = await createTestDatabase()
onCleanup({ after }, () => database.drop())
const metrics = createMetrics({
  ...{ db: kyselyOver(database.pool), version: '0' },
  dispatcher: { maxInFlight: 1 },
})
/** Each name with its samples' labels, of a process that has everything. */
const told = new Map<string, Record<string, string>[]>()
for (const { samples } of parseExposition(await metrics.scrape()).values()) {
  for (const { name, labels } of samples) told.set(name, [...(told.get(name) ?? []), labels])
}

interface Use {
  metric: string
  matchers: { label: string; op: string; value: string }[]
}

/** By the grammar of Prometheus itself. */
function usesOf(expr: string): { uses: Use[]; grouping: string[] } {
  const text = expr.replaceAll('$__rate_interval', '5m')
  const uses: Use[] = []
  const grouping: string[] = []
  parser.parse(text).iterate({
    enter(node) {
      const said = text.slice(node.from, node.to)
      assert.ok(!node.type.isError, `no PromQL at ${node.from}: ${text}`)
      if (node.name === 'VectorSelector') uses.push({ metric: said.replace(/\{.*/s, ''), matchers: [] })
      if (node.name === 'UnquotedLabelMatcher') {
        const [, label, op, value] = /^(\w+)\s*(=~|!~|!=|=)\s*"(.*)"$/.exec(said) ?? []
        uses.at(-1)!.matchers.push({ label: label!, op: op!, value: value! })
      }
      if (node.name === 'LabelName' && node.node.parent?.name === 'GroupingLabels') grouping.push(said)
    },
  })
  return { uses, grouping }
}

/** Labels that Prometheus adds. */
const added = ['job', 'instance']

test('every query is PromQL, and names metrics that there are, with labels and values that they have', () => {
  assert.ok(queries.length > 40)
  for (const { where, expr } of queries) {
    const { uses, grouping } = usesOf(expr)
    assert.ok(uses.length > 0, where)
    for (const { metric, matchers } of uses) {
      const series = told.get(metric)
      assert.ok(series, `${where}: there is no ${metric}`)
      const ours = matchers.filter(({ label }) => !added.includes(label))
      const matching = series.filter((labels) =>
        ours.every(({ label, op, value }) => {
          assert.ok(['=', '=~'].includes(op), `${where}: ${op} is not looked at here`)
          const given = labels[label] ?? ''
          return op === '=' ? given === value : new RegExp(`^(?:${value})$`).test(given)
        }),
      )
      assert.ok(matching.length > 0, `${where}: ${metric} has nothing with ${JSON.stringify(ours)}`)
      for (const { label, value } of ours.filter(({ op }) => op === '=~')) {
        for (const one of value.split('|'))
          assert.ok(
            series.some((labels) => labels[label] === one),
            `${where}: ${label} is never ${one}`,
          )
      }
    }
    for (const label of grouping) {
      assert.ok(
        uses.every(({ metric }) =>
          told.get(metric)!.every((labels) => added.includes(label) || label in labels),
        ),
        `${where}: by ${label}`,
      )
    }
  }
})

test('every metric of this service is on the dashboard', () => {
  const shown = queries
    .slice(rules.length)
    .flatMap(({ expr }) => usesOf(expr).uses.map(({ metric }) => metric))
  const missing = [...told.keys()]
    .map((name) => name.replace(/_(bucket|sum|count)$/, ''))
    .filter((name) => name.startsWith('webhook_') && !shown.some((one) => one.startsWith(name)))
  assert.deepEqual([...new Set(missing)], [])
})

describe('the alerts', () => {
  test('are each there once, with what is wrong and how urgent that is', () => {
    const names = rules.map(({ alert }) => alert)
    assert.deepEqual([...new Set(names)], names)
    for (const rule of rules) {
      assert.deepEqual(
        Object.keys(rule).filter((key) => !['alert', 'expr', 'for', 'labels', 'annotations'].includes(key)),
        [],
      )
      assert.match(rule.labels.severity, /^(critical|warning)$/, rule.alert)
      assert.match(rule.for ?? '1m', /^\d+[smh]$/, rule.alert)
      assert.ok(rule.annotations.summary.length > 20, rule.alert)
    }
  })

  test('say what to do, by a command that there is, with options that it has', async () => {
    for (const { alert, annotations } of rules) {
      const said = [...annotations.action.matchAll(/`npx webhook-outbox ([^`]+)`/g)].map(([, line]) => line!)
      assert.ok(said.length > 0, `${alert} names a command`)
      for (const line of said) {
        const [name, ...words] = line.split(' ')
        const entry = commands[name!]
        assert.ok(entry, `${alert}: there is no command ${name}`)
        const { options } = await entry.load()
        for (const word of words.filter((one) => one.startsWith('--'))) {
          assert.ok(word.slice(2) in options, `${alert}: ${name} has no ${word}`)
        }
      }
    }
  })
})

test('panels of the dashboard do not lie over each other', () => {
  for (const [n, { title, gridPos: a }] of panels.entries()) {
    assert.ok(a.x + a.w <= 24, title)
    for (const { title: other, gridPos: b } of panels.slice(n + 1)) {
      const apart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y
      assert.ok(apart, `${title} and ${other}`)
    }
  }
})
