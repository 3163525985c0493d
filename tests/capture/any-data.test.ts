import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { captured, checkedBody, databaseOfFile, inSession, insert, projectUrl, ticketUrl } from './host.ts'

/** No data may make the business transaction fail: whatever Postgres accepted into a row is captured. */
const db = await databaseOfFile()
// The most permissive host: whatever may be null, is.
await db.query(`
  alter table tasks alter column status drop not null, alter column retry_count drop not null,
    alter column max_retries drop not null, alter column created_at drop not null, alter column updated_at drop not null`)

// Postgres stores neither NUL nor lone surrogates, in text and in jsonb.
const storable = (text: string) => text.toWellFormed().replaceAll('\0', '')
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }).map(storable),
  fc.string({ unit: 'grapheme-composite', maxLength: 60 }).map(storable),
  fc.stringMatching(/^[\\"'$%{}[\]\n\t\x01\x1f/<>&;:?#-]{0,30}$/),
  fc
    .tuple(fc.constantFrom('x', 'é', '😀', '"', '\\', '\n'), fc.integer({ min: 3_990, max: 4_010 }))
    .map(([unit, count]) => unit.repeat(count)),
)
const pair = (key: string) => fc.tuple(fc.constant(key), fc.oneof(text, fc.jsonValue().map(cleanJson)))
const json = fc.option(
  fc.oneof(
    fc.jsonValue().map(cleanJson),
    text,
    fc
      .tuple(pair('result'), pair('output_summary'), pair('other'))
      .chain((entries) => fc.shuffledSubarray(entries))
      .map((entries) => Object.fromEntries(entries)),
  ),
)
const time = fc.option(
  fc.oneof(
    fc.constantFrom(
      'infinity',
      '-infinity',
      'epoch',
      '4713-01-01 00:00:00+00 BC',
      '0001-12-31 23:59:59.999999+00 BC',
    ),
    fc.constantFrom('0001-01-01 00:00:00+00', '9999-12-31 23:59:59.999999+00', '10000-01-01 00:00:00+00'),
    fc.constantFrom('294276-12-31 23:59:59.999999+00', '2026-03-29 02:30:00 Europe/Berlin'),
    fc
      .date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31') })
      .map((date) => date.toISOString()),
  ),
)
const integer = fc.option(fc.oneof(fc.integer(), fc.constantFrom(-2147483648, 2147483647)))
const url = fc.option(
  fc.oneof(
    fc.constantFrom('', ticketUrl),
    text.map((value) => [...value].slice(0, 2_048).join('')),
  ),
)

const row = fc.record({
  title: fc.option(text),
  assigned_agent_id: fc.option(text),
  result: json,
  error_message: fc.option(text),
  retry_count: integer,
  max_retries: integer,
  started_at: time,
  completed_at: time,
  created_at: time,
  updated_at: time,
})
const change = fc.record({
  from: fc.constantFrom(null, '', 'running', 'pending', 'COMPLETED'),
  to: fc.constantFrom('completed', 'failed'),
  own: url,
  project: url,
  before: row,
  after: row,
})

test('whatever a row holds and becomes, its change commits and is one event with a body of the schema', async () => {
  await inSession(db, async (session) => {
    await fc.assert(
      fc.asyncProperty(change, async ({ from, to, own, project, before, after }) => {
        const project_id = await insert(session, 'projects', { name: 'p', webhook_url: project })
        const ticket_id = await insert(session, 'tickets', { title: 't', project_id, webhook_url: own })
        const task = await insert(session, 'tasks', { ...asColumns(before), ticket_id, status: from })
        const columns = { ...asColumns(after), status: to }
        const { rowCount } = await session.query(
          `update tasks set ${Object.keys(columns)
            .map((name, i) => `${name} = $${i + 2}`)
            .join(', ')} where id = $1`,
          [task, ...Object.values(columns)],
        )
        assert.equal(rowCount, 1)

        const events = await captured(session, task)
        const expected = own || project || null
        assert.deepEqual(
          events.map((event) => event.url),
          expected === null ? [] : [expected],
        )
        if (events[0] === undefined) return
        const body = checkedBody(events[0].payload)
        assert.deepEqual(
          [body.event_type, body.entity_id, body.project_id, body.ticket_id, body.agent_id],
          [`task.${to}`, task, project_id, ticket_id, after.assigned_agent_id],
        )
        if (body.event_type === 'task.failed') {
          assert.equal(body.data.error, shortened(after.error_message))
          assert.deepEqual(
            [body.data.retry_count, body.data.max_retries],
            [after.retry_count, after.max_retries],
          )
        } else if (body.event_type === 'task.completed') {
          assert.equal(body.data.result, shortened(stringUnder(after.result, 'result') ?? 'success'))
          assert.equal(body.data.output_summary, shortened(stringUnder(after.result, 'output_summary')))
        }
      }),
      { numRuns: 400 },
    )
  })
})

const oddIds = [
  '\u{1f600}',
  'o\'brien"; drop table tasks; --',
  'a\nb',
  '\\',
  ' ',
  'x'.repeat(2_000),
  '%s$1{}',
]

for (const id of oddIds) {
  test(`ids such as ${JSON.stringify(id.slice(0, 40))} arrive as they are`, async () => {
    await insert(db, 'projects', { id, name: 'p', webhook_url: projectUrl })
    await insert(db, 'tickets', { id, title: 't', project_id: id })
    await insert(db, 'tasks', { id, title: 't', ticket_id: id, assigned_agent_id: id })
    await db.query(`update tasks set status = 'completed' where id = $1`, [id])
    const body = checkedBody((await captured(db, id))[0]!.payload)
    assert.deepEqual(
      [body.entity_id, body.project_id, body.ticket_id, body.task_id, body.agent_id],
      Array(5).fill(id),
    )
  })
}

function asColumns(values: { result: unknown } & Record<string, unknown>): Record<string, unknown> {
  return { ...values, result: values.result === null ? null : JSON.stringify(values.result) }
}

function stringUnder(value: unknown, key: string): string | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  const found = Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : null
  return typeof found === 'string' ? found : null
}

function shortened(value: string | null): string | null {
  const points = value === null ? [] : [...value]
  return points.length > 4_000 ? `${points.slice(0, 3_988).join('')}…[truncated]` : value
}

/** A JSON value whose strings and keys Postgres stores. */
function cleanJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_, inner: unknown) => {
    if (typeof inner === 'string') return storable(inner)
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner
    return Object.fromEntries(Object.entries(inner).map(([key, v]) => [storable(key), v as unknown]))
  }) as unknown
}
