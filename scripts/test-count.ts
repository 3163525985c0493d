import { basename } from 'node:path'
import type { TestEvent } from 'node:test/reporters'

/** A reporter for scripts/test.ts: how many tests ran, where a file without any does not count as one. */
export default async function* countTests(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  let ran = 0
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue
    const isFile = data.nesting === 0 && basename(data.name) === basename(data.file ?? '')
    if (data.details.type !== 'suite' && data.skip === undefined && !isFile) ran += 1
  }
  yield String(ran)
}
