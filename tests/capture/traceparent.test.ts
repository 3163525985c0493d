import assert from 'node:assert/strict'
import { after, beforeEach, describe, test } from 'node:test'
import { kyselyOver } from '../../src/database/connection.ts'
import { discardExpired } from '../../src/dispatch/expire.ts'
import { reclaimExpired } from '../../src/dispatch/reclaim.ts'
import { recoverDead } from '../../src/dispatch/recover.ts'
import { createTestApi } from '../api/support.ts'
import type { TestDatabase } from '../support/database.ts'
import {
  claimDue,
  clear,
  delivered,
  died,
  dispatcher,
  endpoint,
  owe,
  receiver,
  settleAll,
} from '../support/endpoints.ts'
import { putEvent, putTicket } from '../support/events.ts'
import { runningTasks } from '../support/tasks.ts'

const given = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
const url = 'http://127.0.0.1:9/hook'

/** What a writer may say instead of one; zeros have the form, and are dropped when it is sent. */
const hostile = [
  ['nothing', null],
  ['an empty text', ''],
  ['upper case', given.toUpperCase()],
  ['another version', given.replace('00-', '01-')],
  ['the version that is none', given.replace('00-', 'ff-')],
  ['too little', given.slice(0, -1)],
  ['too much', `${given}0`],
  ['one with an appendix', `${given}-00`],
  ['one with a letter that is no digit', given.replace('4bf9', '4bg9')],
  ['one that is cut otherwise', given.replace('-00f0', '0-0f0')],
  ['one hyphen more', given.replace('4bf9', '4b-9')],
  ['digits of another script', given.replaceAll('0', '٠')],
  ['one of two bytes a letter', 'é'.repeat(55)],
  ['a line more', `${given}\nx`],
  ['another header', `${given}\r\nx-injected: 1`],
  ['control characters', `${given.slice(0, -2)}\x01\x7f`],
  ['spaces around it', ` ${given.slice(0, -2)} `],
  ['a megabyte', 'x'.repeat(1_000_000)],
  ['a megabyte of the form', `${given}${'0'.repeat(1_000_000)}`],
  ['quotes', `'; drop table tasks; --`],
] as const

const api = await createTestApi({ after })
const db: TestDatabase = api.database
beforeEach(() => clear(db))

/** Of all events, wherever they are. */
async function traces(): Promise<(string | null)[]> {
  const rows = await db.query<{ traceparent: string | null }>(
    'select traceparent from webhook_outbox union all select traceparent from webhook_history',
  )
  return rows.map((row) => row.traceparent)
}

/** As a writer does it: `set local`, by a parameter, since the values here are anything. */
async function completeWith(setting: string | null, ids: string[]): Promise<void> {
  const session = await db.pool.connect()
  try {
    await session.query('begin')
    if (setting !== null) await session.query(`select set_config('webhook.traceparent', $1, true)`, [setting])
    await session.query(`update tasks set status = 'completed' where id = any($1)`, [ids])
    await session.query('commit')
    // A session goes back to its pool: what it said was for that transaction only.
    await session.query(`update tasks set status = 'failed' where id = any($1)`, [ids])
  } finally {
    session.release()
  }
}

describe('a writer that sets webhook.traceparent', () => {
  test('has it on every event of its transaction, and on none after that', async () => {
    await completeWith(given, await runningTasks(db, url, 3))
    assert.deepEqual((await traces()).sort(), [given, given, given, null, null, null])
  })

  test('has it on the events of a stuck agent, too', async () => {
    const [id] = await runningTasks(db, url)
    await db.query(
      `insert into agents (id) values ('agent-t'); update tasks set assigned_agent_id = 'agent-t' where id = '${id}'`,
    )
    await db.query(`begin; set local webhook.traceparent = '${given}';
      insert into agent_stuck_episodes (agent_id, reason) values ('agent-t', 'loops'); commit`)
    assert.deepEqual(await traces(), [given])
  })

  for (const [what, setting] of hostile) {
    test(`that sets ${what} commits, and its event has none`, async () => {
      const ids = await runningTasks(db, url)
      await completeWith(setting, ids)
      assert.deepEqual(await traces(), [null, null])
    })
  }

  test('that sets one of zeros, or anything else of another form, commits, and no receiver gets it', async (t) => {
    const hooks = await receiver(t)
    const zeros = [given.replace(/4bf9\w+/, '0'.repeat(32)), given.replace(/00f0\w+/, '0'.repeat(16))]
    const settings = [...zeros, ...hostile.map(([, setting]) => setting)]
    for (const setting of settings) await completeWith(setting, await runningTasks(db, hooks.url()))
    dispatcher(t, db).dispatcher.start()
    const requests = await hooks.waitFor(2 * settings.length)
    for (const { headers } of requests) {
      const names = Object.keys(headers).filter((name) => /^(trace|x-)/.test(name))
      assert.deepEqual(names, [])
    }
  })

  test('may set tracestate, too: nothing reads it', async (t) => {
    const hooks = await receiver(t)
    const state = Array.from({ length: 1_000 }, (_, n) => `vendor${n}=${'x'.repeat(200)}`).join()
    const ids = await runningTasks(db, hooks.url())
    await db.query(`begin; set local webhook.traceparent = '${given}'; set local webhook.tracestate = '${state}';
      update tasks set status = 'completed' where id = '${ids[0]}'; commit`)
    dispatcher(t, db).dispatcher.start()
    const [request] = await hooks.waitFor(1)
    const { traceparent, tracestate } = request!.headers
    assert.deepEqual([traceparent, tracestate], [given, undefined])
  })
})

describe('an event keeps its traceparent', () => {
  const columns = { traceparent: `'${given}'` }

  test('when it is delivered, when it dies, and when it comes back', async () => {
    await endpoint(db, url)
    await owe(db, url, 2, columns)
    const [a, b] = await claimDue(db)
    assert.deepEqual([a!.traceparent, b!.traceparent], [given, given])
    await settleAll(db, [delivered(a!), died(b!, true)])
    assert.deepEqual(await traces(), [given, given])
    await db.query('update webhook_history set created_at = now()')
    await db.query(
      "update webhook_endpoints set recover_at = now() - interval '1 s', recover_rest = true, owes_dead = true",
    )
    assert.equal((await recoverDead(kyselyOver(db.pool), 3_600_000)).size, 1)
    assert.deepEqual((await db.query('select traceparent from webhook_outbox'))[0], { traceparent: given })
  })

  test('when its last lease expires, and when it is owed too long', async () => {
    await endpoint(db, url)
    await owe(db, url, 1, columns)
    await claimDue(db, { leaseMs: 0 })
    assert.equal(await reclaimExpired(db.pool, { leaseMs: 0, maxAttempts: 1 }), 1)
    await owe(db, url, 1, { ...columns, created_at: `now() - interval '1 day'` })
    assert.equal(await discardExpired(kyselyOver(db.pool), 1_000), 1)
    const settled = await db.query('select outcome, traceparent from webhook_history order by outcome')
    assert.deepEqual(settled, [
      { outcome: 'dead', traceparent: given },
      { outcome: 'discarded', traceparent: given },
    ])
  })

  test('when it is replayed, when it is discarded, and when its URL is taken away', async () => {
    const { ticket_id } = await putTicket(db, { url })
    const id = await putEvent(db, { ticket_id, traceparent: given })
    // An operator's own trace is not that of the change.
    await db.query(
      `begin; set local webhook.traceparent = '${given.replace('4bf9', 'aaaa')}'; select webhook_replay('${id}'); commit`,
    )
    assert.deepEqual(await traces(), [given])
    await db.query('select webhook_discard($1)', [id])
    assert.deepEqual(await traces(), [given])
    await db.query('select webhook_replay($1)', [id])
    await db.query('update tickets set webhook_url = null where id = $1', [ticket_id])
    const [event] = await db.query('select last_error, traceparent from webhook_history')
    assert.deepEqual(event, { last_error: 'url_removed', traceparent: given })
  })
})

test('a PATCH of a task in a trace is delivered in it; a header of another form is dropped', async (t) => {
  const hooks = await receiver(t)
  dispatcher(t, db).dispatcher.start()
  const received = async (traceparent: string | undefined) => {
    const [id] = await runningTasks(db, hooks.url())
    const headers = traceparent === undefined ? {} : { traceparent }
    const path = `/api/v1/tasks/${encodeURIComponent(id!)}`
    const answer = await api.call('PATCH', path, { status: 'completed' }, { headers })
    assert.equal(answer.status, 200, answer.text)
    const request = await hooks.waitFor(({ body }) => body.task_id === id)
    return request.headers['traceparent']
  }
  assert.equal(await received(given), given)
  assert.equal(await received(undefined), undefined)
  for (const dropped of [
    given.toUpperCase(),
    `${given}, ${given}`,
    given.replace('00-', 'ff-'),
    'x'.repeat(8_000),
  ])
    assert.equal(await received(dropped), undefined)
})

test('an episode that a request in a trace opens is delivered in it', async (t) => {
  const hooks = await receiver(t)
  const [id] = await runningTasks(db, hooks.url())
  await db.query(`insert into agents (id) values ('agent-u')`)
  await db.query(`update tasks set assigned_agent_id = 'agent-u' where id = $1`, [id])
  const headers = { traceparent: given }
  const answer = await api.call('POST', '/api/v1/agents/agent-u/stuck', { reason: 'loops' }, { headers })
  assert.equal(answer.status, 201, answer.text)
  dispatcher(t, db).dispatcher.start()
  const [request] = await hooks.waitFor(1)
  assert.deepEqual([request!.body.event_type, request!.headers['traceparent']], ['agent.stuck', given])
})

test('one that SQL made of another form is not sent, and the event is delivered', async (t) => {
  const hooks = await receiver(t)
  const values = [`'no trace' || chr(10) || 'x: y'`, `repeat('x', 1000000)`, `'ff' || substr('${given}', 3)`]
  for (const traceparent of values) await owe(db, hooks.url(), 1, { traceparent })
  dispatcher(t, db).dispatcher.start()
  for (const { headers } of await hooks.waitFor(values.length))
    assert.equal(headers['traceparent'], undefined)
})
