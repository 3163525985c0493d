import assert from 'node:assert/strict'

/** One line of the text format of Prometheus. */
export interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

export interface Family {
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram' | 'summary'
  samples: Sample[]
}

const metricName = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const sampleLine = new RegExp(
  `^(${metricName})(?:\\{(.*)\\})? ([+-]?(?:Inf|NaN|[0-9.]+(?:[eE][+-]?[0-9]+)?))$`,
)

/**
 * Reads the text format 0.0.4 and takes nothing that it does not say: HELP and TYPE once and before the samples of each
 * family, lines of a family together, no sample twice, escapes, a newline at the end; of histograms the buckets cumulative
 * and up to +Inf, which is the count.
 * @throws AssertionError naming the line
 */
export function parseExposition(text: string): Map<string, Family> {
  assert.ok(text.endsWith('\n'), 'the last line ends with a newline')
  const families = new Map<string, Family>()
  let current: Family | undefined
  const seen = new Set<string>()
  for (const line of text.slice(0, -1).split('\n')) {
    if (line === '') continue
    const meta = new RegExp(`^# (HELP|TYPE) (${metricName}) (.+)$`).exec(line)
    if (meta?.[1] === 'HELP') {
      assert.ok(!families.has(meta[2]!), `told once: ${line}`)
      current = { name: meta[2]!, help: meta[3]!, type: 'gauge', samples: [] }
      families.set(current.name, current)
    } else if (meta !== null) {
      assert.equal(current?.name, meta[2], `TYPE follows its HELP: ${line}`)
      assert.match(meta[3]!, /^(counter|gauge|histogram|summary)$/, line)
      current!.type = meta[3] as Family['type']
    } else {
      assert.ok(!line.startsWith('#'), `no other comments: ${line}`)
      const sample = parseSample(line)
      assert.ok(current !== undefined && belongs(sample.name, current), `in its family: ${line}`)
      const key = `${sample.name}${JSON.stringify(Object.entries(sample.labels).sort())}`
      assert.ok(!seen.has(key), `told once: ${line}`)
      seen.add(key)
      current.samples.push(sample)
    }
  }
  for (const family of families.values()) if (family.type === 'histogram') checkHistogram(family)
  return families
}

function parseSample(line: string): Sample {
  const parts = sampleLine.exec(line)
  assert.ok(parts, `a sample: ${line}`)
  const labels: Record<string, string> = {}
  let rest = parts[2] ?? ''
  while (rest !== '') {
    const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/.exec(rest)
    assert.ok(label, `labels: ${line}`)
    assert.ok(!(label[1]! in labels), `a label once: ${line}`)
    labels[label[1]!] = label[2]!.replaceAll(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c))
    rest = rest.slice(label[0].length)
  }
  const value = parts[3]!.replace('Inf', 'Infinity')
  return { name: parts[1]!, labels, value: Number(value) }
}

function belongs(name: string, { name: family, type }: Family): boolean {
  if (type === 'histogram') return [`${family}_bucket`, `${family}_sum`, `${family}_count`].includes(name)
  if (type === 'summary') return [family, `${family}_sum`, `${family}_count`].includes(name)
  return name === family
}

function checkHistogram({ name, samples }: Family): void {
  const series = new Map<string, { buckets: [number, number][]; count?: number; sum?: number }>()
  for (const sample of samples) {
    const { le, ...labels } = sample.labels
    const key = JSON.stringify(Object.entries(labels).sort())
    const one = series.get(key) ?? { buckets: [] }
    series.set(key, one)
    if (sample.name === `${name}_bucket`) {
      assert.ok(le !== undefined, `${name}: a bucket has its bound`)
      one.buckets.push([Number(le.replace('Inf', 'Infinity')), sample.value])
    } else if (sample.name === `${name}_count`) one.count = sample.value
    else one.sum = sample.value
  }
  for (const { buckets, count, sum } of series.values()) {
    assert.ok(sum !== undefined, `${name} has a sum`)
    assert.deepEqual(buckets.at(-1), [Infinity, count], `${name}: the last bucket has all`)
    for (let i = 1; i < buckets.length; i++) {
      assert.ok(
        buckets[i]![0] > buckets[i - 1]![0] && buckets[i]![1] >= buckets[i - 1]![1],
        `${name}: cumulative`,
      )
    }
  }
}

/** The one sample of this name with these labels among others; undefined where there is none. */
export function valueOf(
  families: Map<string, Family>,
  name: string,
  labels: Record<string, string> = {},
): number | undefined {
  const found = [...families.values()]
    .flatMap((family) => family.samples)
    .filter((s) => s.name === name && Object.entries(labels).every(([key, value]) => s.labels[key] === value))
  assert.ok(found.length <= 1, `${name} ${JSON.stringify(labels)} is one sample`)
  return found[0]?.value
}
