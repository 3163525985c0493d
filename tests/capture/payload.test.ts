import assert from 'node:assert/strict'
import test from 'node:test'
import type { TaskCompleted, TaskFailed } from '../../src/events.ts'
import { databaseOfFile, insert, inSession, onlyEvent, runningTask, setStatus, ticketUrl } from './host.ts'

const db = await databaseOfFile()

/** `result` is a JSON value, or undefined for SQL's NULL. */
async function completed(row: Record<string, unknown>, result?: unknown): Promise<TaskCompleted['data']> {
  const task = await runningTask(db, {
    ...row,
    result: result === undefined ? null : JSON.stringify(result),
  })
  await setStatus(db, task, 'completed')
  return (await onlyEvent(db, task)).body.data as TaskCompleted['data']
}

async function failed(row: Record<string, unknown>): Promise<TaskFailed['data']> {
  const task = await runningTask(db, row)
  await setStatus(db, task, 'failed')
  return (await onlyEvent(db, task)).body.data as TaskFailed['data']
}

test('the bytes of task.completed are compact JSON in the order of the contract', async () => {
  const project_id = await insert(db, 'projects', { id: 'project-1', name: 'p' })
  const ticket_id = await insert(db, 'tickets', {
    id: 'ticket-1',
    title: 't',
    project_id,
    webhook_url: ticketUrl,
  })
  const task = await runningTask(db, {
    id: 'task-1',
    ticket_id,
    assigned_agent_id: 'agent-1',
    started_at: '2026-01-31T14:29:15.9Z',
    completed_at: '2026-01-31T14:30:01.0Z',
    result: '{"result": "success", "output_summary": "Implemented feature X", "more": [1, 2]}',
  })
  await setStatus(db, task, 'completed')
  const { row, body } = await onlyEvent(db, task)
  assert.equal(
    row.payload,
    `{"event_type":"task.completed","timestamp":"${body.timestamp}","entity_type":"task","entity_id":"task-1",` +
      `"project_id":"project-1","ticket_id":"ticket-1","task_id":"task-1","agent_id":"agent-1",` +
      `"data":{"result":"success","duration_seconds":45,"output_summary":"Implemented feature X"}}`,
  )
})

test('the bytes of task.failed are compact JSON in the order of the contract', async () => {
  const ticket_id = await insert(db, 'tickets', { id: 'ticket-2', title: 't', webhook_url: ticketUrl })
  const task = await runningTask(db, { id: 'task-2', ticket_id, error_message: 'no disk', retry_count: 2 })
  await setStatus(db, task, 'failed')
  const { row, body } = await onlyEvent(db, task)
  assert.equal(
    row.payload,
    `{"event_type":"task.failed","timestamp":"${body.timestamp}","entity_type":"task","entity_id":"task-2",` +
      `"project_id":null,"ticket_id":"ticket-2","task_id":"task-2","agent_id":null,` +
      `"data":{"error":"no disk","retry_count":2,"max_retries":3}}`,
  )
})

const results: [result: unknown, sent: string, summary: string | null][] = [
  [undefined, 'success', null],
  [null, 'success', null],
  [{}, 'success', null],
  [{ result: 'partial', output_summary: 'half of it' }, 'partial', 'half of it'],
  [{ result: '', output_summary: '' }, '', ''],
  [{ result: null, output_summary: null }, 'success', null],
  [{ result: 7, output_summary: 7 }, 'success', null],
  [{ result: true, output_summary: false }, 'success', null],
  [{ result: ['a'], output_summary: ['a'] }, 'success', null],
  [{ result: { result: 'inner' }, output_summary: { output_summary: 'inner' } }, 'success', null],
  [{ Result: 'x', 'output summary': 'x' }, 'success', null],
  ['a string', 'success', null],
  ['result', 'success', null],
  [['result', 'output_summary'], 'success', null],
  [[{ result: 'x' }], 'success', null],
  [42, 'success', null],
  [true, 'success', null],
]

for (const [result, sent, summary] of results) {
  test(`a result of ${result === undefined ? 'NULL' : JSON.stringify(result)} is sent as "${sent}", summary ${JSON.stringify(summary)}`, async () => {
    const data = await completed({}, result)
    assert.deepEqual([data.result, data.output_summary], [sent, summary])
  })
}

const tail = '…[truncated]'
const texts: [name: string, text: string, sent: string][] = [
  ['3,999 characters', 'x'.repeat(3_999), 'x'.repeat(3_999)],
  ['4,000 characters', 'x'.repeat(4_000), 'x'.repeat(4_000)],
  ['4,001 characters', 'x'.repeat(4_001), 'x'.repeat(3_988) + tail],
  ['100,000 characters', 'ab'.repeat(50_000), 'ab'.repeat(1_994) + tail],
  ['4,000 emoji', '😀'.repeat(4_000), '😀'.repeat(4_000)],
  ['4,001 emoji', '😀'.repeat(4_001), '😀'.repeat(3_988) + tail],
  ['emoji around the cut', 'x'.repeat(3_987) + '😀'.repeat(20), 'x'.repeat(3_987) + '😀' + tail],
  ['quotes and backslashes', `"\\" \\n \\u0000 '$1' %s`, `"\\" \\n \\u0000 '$1' %s`],
  ['control characters', '\u0001\b\t\n\f\r\u001f\u007f\u0085', '\u0001\b\t\n\f\r\u001f\u007f\u0085'],
  ['line separators', '\u2028\u2029', '\u2028\u2029'],
  [
    'other scripts',
    'déjà vu 日本語 ﷽ e\u0301 \u202eevil\u202c \ufeff',
    'déjà vu 日本語 ﷽ e\u0301 \u202eevil\u202c \ufeff',
  ],
  ['what looks like markup', '</script><!--&lt;', '</script><!--&lt;'],
]

for (const [name, text, sent] of texts) {
  test(`a text of ${name} arrives${text === sent ? '' : ' within 4,000 characters'}`, async () => {
    const data = await completed({}, { result: text, output_summary: text })
    assert.equal(data.result, sent)
    assert.equal(data.output_summary, sent)
    assert.equal((await failed({ error_message: text })).error, sent)
  })
}

test('a result of 200 KB costs the body nothing but its two texts', async () => {
  const big = { result: 'done', output_summary: 'é'.repeat(100_000), log: 'y'.repeat(100_000) }
  const data = await completed({}, big)
  assert.deepEqual(data, { result: 'done', duration_seconds: null, output_summary: 'é'.repeat(3_988) + tail })
})

const durations: [started: string | null, completed: string | null, seconds: number | null][] = [
  ['2026-01-01 00:00:00+00', '2026-01-01 00:00:45+00', 45],
  ['2026-01-01 00:00:00+00', '2026-01-01 00:00:00+00', 0],
  ['2026-01-01 00:00:00.000001+00', '2026-01-01 00:00:45+00', 44],
  ['2026-01-01 00:00:00+00', '2026-01-01 00:00:45.999999+00', 45],
  ['2026-01-01 00:00:00.7+00', '2026-01-01 00:00:01.6+00', 0],
  ['2026-01-01 00:00:45+00', '2026-01-01 00:00:00+00', -45],
  ['2026-01-01 00:00:00.5+00', '2026-01-01 00:00:00+00', 0],
  ['2026-03-29 00:30:00+01', '2026-03-29 04:30:00+02', 10_800],
  ['4713-01-01 00:00:00+00 BC', '294276-12-31 23:59:59+00', 9_435_181_535_999],
  ['294276-12-31 23:59:59+00', '4713-01-01 00:00:00+00 BC', -9_435_181_535_999],
  [null, '2026-01-01 00:00:00+00', null],
  ['2026-01-01 00:00:00+00', null, null],
  [null, null, null],
  ['-infinity', '2026-01-01 00:00:00+00', null],
  ['2026-01-01 00:00:00+00', 'infinity', null],
  ['infinity', 'infinity', null],
  ['-infinity', 'infinity', null],
]

for (const [started_at, completed_at, seconds] of durations) {
  test(`from ${started_at} to ${completed_at} are ${seconds} seconds`, async () => {
    assert.equal((await completed({ started_at, completed_at })).duration_seconds, seconds)
  })
}

const failures: [row: Record<string, unknown>, data: TaskFailed['data']][] = [
  [{ error_message: null }, { error: null, retry_count: 0, max_retries: 3 }],
  [{ error_message: '' }, { error: '', retry_count: 0, max_retries: 3 }],
  [
    { error_message: 'x', retry_count: 3, max_retries: 0 },
    { error: 'x', retry_count: 3, max_retries: 0 },
  ],
  [
    { error_message: 'x', retry_count: -2147483648, max_retries: 2147483647 },
    { error: 'x', retry_count: -2147483648, max_retries: 2147483647 },
  ],
]

for (const [row, data] of failures) {
  test(`a failure with ${JSON.stringify(row)} sends ${JSON.stringify(data)}`, async () => {
    assert.deepEqual(await failed(row), data)
  })
}

test('counts that a host leaves null are null', async () => {
  await db.query(
    'alter table tasks alter column retry_count drop not null, alter column max_retries drop not null',
  )
  const data = await failed({ retry_count: null, max_retries: null })
  assert.deepEqual(data, { error: null, retry_count: null, max_retries: null })
})

const settings: Record<string, string>[] = [
  { timezone: 'Pacific/Kiritimati', datestyle: 'SQL, DMY' },
  { timezone: 'America/St_Johns', datestyle: 'German', intervalstyle: 'sql_standard' },
  { timezone: '<+23>-23', datestyle: 'Postgres, YMD', intervalstyle: 'iso_8601' },
  { extra_float_digits: '-15', bytea_output: 'escape', xmlbinary: 'hex' },
  { standard_conforming_strings: 'off', backslash_quote: 'on', quote_all_identifiers: 'on' },
  { transform_null_equals: 'on', plan_cache_mode: 'force_generic_plan' },
  { plan_cache_mode: 'force_custom_plan', client_encoding: 'LATIN1' },
  { enable_nestloop: 'off', enable_seqscan: 'off', jit_above_cost: '0' },
  { 'plpgsql.extra_errors': 'all', 'plpgsql.extra_warnings': 'all', 'plpgsql.check_asserts': 'on' },
  { 'plpgsql.variable_conflict': 'use_column' },
  { 'plpgsql.variable_conflict': 'use_variable' },
]

for (const setting of settings) {
  test(`a session with ${JSON.stringify(setting)} writes the same body, with the database's clock in UTC`, async () => {
    const task = await runningTask(db, {
      started_at: '2026-03-29 00:59:59.5+00',
      completed_at: '2026-03-29 01:00:10+00',
      result: JSON.stringify({ result: 'caf\u00e9 \\ 😀', output_summary: '1.50' }),
    })
    const [before] = await db.query<{ at: Date }>('select clock_timestamp() as at')
    await inSession(db, async (session) => {
      for (const [name, value] of Object.entries(setting)) {
        await session.query(`set ${name} to ${name === 'datestyle' ? value : `'${value}'`}`)
      }
      await setStatus(session, task, 'completed')
    })
    const [after] = await db.query<{ at: Date }>('select clock_timestamp() as at')
    const { body } = await onlyEvent(db, task)
    assert.deepEqual(body.data, { result: 'café \\ 😀', duration_seconds: 10, output_summary: '1.50' })
    // A Date has whole milliseconds, as the timestamp has.
    const at = Date.parse(body.timestamp)
    assert.ok(before!.at.getTime() <= at && at <= after!.at.getTime(), body.timestamp)
  })
}

const inlined: [name: string, query: string, expected: RegExp][] = [
  [
    'the look-up of the URL',
    'select e.* from tasks t cross join lateral webhook_task_event(t) e',
    /on (public\.)?tickets ticket/,
  ],
  [
    'the body of task.completed',
    `select webhook_completed_body(t, 'a', 'b', 'c', 'd') from tasks t`,
    /row_to_json\(ROW\('task\.completed'/,
  ],
  [
    'the body of task.failed',
    `select webhook_failed_body(t, 'a', 'b', 'c', 'd') from tasks t`,
    /row_to_json\(ROW\('task\.failed'/,
  ],
]

for (const [name, query, expected] of inlined) {
  test(`${name} is inlined, and costs no call of a function in SQL`, async () => {
    const plan = await db.query<{ 'QUERY PLAN': string }>(`explain verbose ${query}`)
    const lines = plan.map((row) => row['QUERY PLAN']).join('\n')
    assert.doesNotMatch(lines, /Function Scan|webhook_\w+\(/)
    assert.match(lines, expected)
  })
}
