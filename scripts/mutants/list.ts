/**
 * Wrong versions of the core, each by one replacement of text, and the test that must notice. A text that no longer occurs in its
 * file, once and only once, is an error: the list is to follow the code.
 */
export interface Mutant {
  name: string
  file: string
  search: string
  replace: string
  /** File and name of a test that must turn red. */
  test: [file: string, name: string]
}

const claim = 'tests/dispatch/claim.test.ts'
const caps = 'tests/dispatch/caps.test.ts'
const dispatcher = 'tests/dispatch/dispatcher.test.ts'
const breaker = 'tests/dispatch/breaker.test.ts'
const deadRows = 'tests/dispatch/dead-rows.test.ts'
const recovery = 'tests/dispatch/recovery.test.ts'
const guard = 'tests/delivery/address-guard.test.ts'
const settler = 'tests/dispatch/settler.test.ts'
const processes = 'tests/faults/process.test.ts'
const database = 'tests/faults/database.test.ts'

export const mutants: Mutant[] = [
  {
    name: 'no fence where an event is settled',
    file: 'db/settle.ts',
    search: `where o.id = s.id and o.lease_token = s.token and s.kind in ('delivered', 'dead')`,
    replace: `where o.id = s.id and s.kind in ('delivered', 'dead')`,
    test: [
      processes,
      'an event loop that is blocked past the lease after the answer: its settle changes nothing of what another holds by then',
    ],
  },
  {
    name: 'no fence where an event is kept for later',
    file: 'db/settle.ts',
    search: `where o.id = s.id and o.lease_token = s.token and s.kind not in`,
    replace: `where o.id = s.id and s.kind not in`,
    test: [
      processes,
      'SIGSTOP past the lease, then SIGCONT: the late settle changes nothing of what another holds by then',
    ],
  },
  {
    name: 'the claim does not lock the endpoints whose deliveries it counts',
    file: 'db/claim.ts',
    search:
      'perform from webhook_claims c where c.endpoint_id = any(candidates) order by c.endpoint_id for update;',
    replace: '',
    test: [caps, 'eight dispatchers together never have more in flight to an endpoint than it may have'],
  },
  {
    name: 'the claim waits for locked rows (no SKIP LOCKED)',
    file: 'db/claim.ts',
    search: `for update skip locked
          ) o
          limit max_rows`,
    replace: `for update
          ) o
          limit max_rows`,
    test: [claim, 'a row that another transaction has locked does not hold up the claim of the others'],
  },
  {
    name: 'settled before the POST',
    file: 'src/dispatch/deliver.ts',
    search: 'const exchange = await sender.send(delivery, signal)',
    replace: `void sender.send(delivery, signal)
  const exchange: Exchange = { kind: 'answered', status: 200, response: '', retryAfter: null, location: null, startedAt: new Date(), durationMs: 0 }`,
    test: [processes, 'kill -9 mid-POST: its work is redelivered within LEASE + 2 s'],
  },
  {
    name: 'the attempt is not counted before the POST',
    file: 'db/claim.ts',
    search: 'attempts = least(o.attempts, 2147483646) + 1',
    replace: 'attempts = o.attempts',
    test: [claim, 'a claim counts the attempt and leases the row'],
  },
  {
    name: 'counts that plain SQL made too large fail the claim of everybody',
    file: 'db/claim.ts',
    search: 'attempts = least(o.attempts, 2147483646) + 1',
    replace: 'attempts = o.attempts + 1',
    test: [
      'tests/faults/data.test.ts',
      'rows whose state is broken are delivered or set aside, while their neighbours flow',
    ],
  },
  {
    name: 'no poll',
    file: 'src/dispatch/dispatcher.ts',
    search: 'const untilPoll = this.#options.pollIntervalMs - (now - start)',
    replace: 'const untilPoll = 3_600_000 + now - now + start - start',
    test: [dispatcher, 'without any notification the poll delivers'],
  },
  {
    name: 'a lease that is shorter than the exchange is accepted',
    file: 'src/config.ts',
    search: 'if (env.LEASE < least) problems',
    replace: 'if (env.LEASE < 0) problems',
    test: ['tests/config.test.ts', 'LEASE=11999ms is refused, and the message says what to change'],
  },
  {
    name: 'sends under a lease that is over',
    file: 'src/dispatch/deliver.ts',
    search: 'if (options.stopping || performance.now() > sendBefore)',
    replace: 'if (options.stopping)',
    test: [processes, 'an event loop that is blocked past the lease before the POST sends nothing late'],
  },
  {
    name: 'the lease is a twentieth of what it should be',
    file: 'db/claim.ts',
    search: `lease_until = now() + lease_ms * interval '1 ms'`,
    replace: `lease_until = now() + lease_ms * interval '0.05 ms'`,
    test: [processes, 'two dispatchers, one of them an hour ahead, take nothing from each other'],
  },
  {
    name: 'the settler drops what Postgres does not take',
    file: 'src/dispatch/settler.ts',
    search: 'if (this.#abandoned) {',
    replace: 'if (!this.#abandoned) {',
    test: [
      database,
      'no space for the history (53100, raised by a trigger): changes fail whole, nothing is lost, and it heals',
    ],
  },
  {
    name: 'a settlement whose data is refused is tried for ever',
    file: 'src/dispatch/settler.ts',
    search: 'if (isDataError(error)) {',
    replace: 'if (isDataError(error) && batch.length < 0) {',
    test: [settler, 'a settlement whose data is refused keeps none of its batch back'],
  },
  {
    name: 'capture hides its failure, and the change commits without its event',
    file: 'db/migrations/0004_capture.ts',
    search: `        \${insertEvents(schema, 'task')}
`,
    replace: `        begin \${insertEvents(schema, 'task')} exception when others then return new; end;
`,
    test: [
      database,
      'no space for the outbox (53100, raised by a trigger): changes fail whole, nothing is lost, and it heals',
    ],
  },
  {
    name: 'capture in a transaction of its own',
    file: 'db/migrations/0004_capture.ts',
    search: `        \${insertEvents(schema, 'task')}
`,
    replace: `        execute 'create extension if not exists dblink';
      perform dblink_exec(
        'host=127.0.0.1 user=postgres port=' || current_setting('port') || ' dbname=' || current_database() ||
          ' password=' || trim(E'\\\\n' from pg_read_file('../password')),
        format('insert into webhook_outbox (event_type, entity_type, entity_id, ticket_id, task_id, url, payload)
          values (%L, ''task'', %L, %L, %3$L, %L, %L)', e.event_type, e.entity_id, e.ticket_id, e.url, e.payload));
`,
    test: [database, 'what is rolled back is never sent, in part by a savepoint or as a whole'],
  },
  {
    name: 'every update of a completed task is captured',
    file: 'db/migrations/0004_capture.ts',
    search: 'when (old.status is distinct from new.status and new.status',
    replace: 'when (new.status',
    test: ['tests/capture/transitions.test.ts', 'completed → completed gives no event'],
  },
  {
    name: 'no last look after the sleep lock',
    file: 'src/dispatch/dispatcher.ts',
    search: `if (this.#lock === 'taken') return // one last look`,
    replace: `if (this.#lock === 'taken') return this.#waker.wait(this.#options.pollIntervalMs) // no look`,
    test: [dispatcher, 'a change that commits between the last claim and the sleep lock is not missed'],
  },
  {
    name: 'capture does not keep the shared lock',
    file: 'db/capture.ts',
    search: `if not pg_catalog.pg_try_advisory_xact_lock_shared(
          \${sql.lit(sleepLockClass)}, \${key}::pg_catalog.regclass::pg_catalog.oid::pg_catalog.int4) then`,
    replace: `if not (pg_catalog.pg_try_advisory_lock_shared(
          \${sql.lit(sleepLockClass)}, \${key}::pg_catalog.regclass::pg_catalog.oid::pg_catalog.int4)
          and pg_catalog.pg_advisory_unlock_shared(
          \${sql.lit(sleepLockClass)}, \${key}::pg_catalog.regclass::pg_catalog.oid::pg_catalog.int4)) then`,
    test: [
      dispatcher,
      'a transaction that captured before a dispatcher slept, and commits after, is not missed',
    ],
  },
  {
    name: 'capture never notifies',
    file: 'db/capture.ts',
    search: `perform pg_catalog.pg_notify(\${sql.lit(channel)}, '');`,
    replace: 'null;',
    test: [dispatcher, 'a change committed while a dispatcher sleeps wakes it, long before its poll'],
  },
  {
    name: 'a retry without its wait',
    file: 'db/settle.ts',
    search: `clock_timestamp() + s.wait_ms * interval '1 ms'`,
    replace: 'clock_timestamp()',
    test: [
      dispatcher,
      'a receiver that answers 503 twice gets the third attempt, with the same id and bytes',
    ],
  },
  {
    name: 'a dead row is not moved',
    file: 'db/settle.ts',
    search: `s.kind in ('delivered', 'dead')`,
    replace: `s.kind in ('delivered')`,
    test: [dispatcher, 'an answer of 400 ends an event at its first attempt'],
  },
  {
    name: 'what is stuck at a stop is not handed back',
    file: 'src/dispatch/deliver.ts',
    search: `if (!answered && options.signal.aborted) return { claimed, kind: 'handed-back', ...attempt }`,
    replace: '',
    test: [
      dispatcher,
      'a stop hands back what is stuck after its grace, and another dispatcher sends it at once',
    ],
  },
  {
    name: 'a stop does not wait for what is under way',
    file: 'src/dispatch/dispatcher.ts',
    search: '    await drained()\n',
    replace: '    void drained\n',
    test: [dispatcher, 'a stop waits for what is under way, and leaves nothing leased'],
  },
  {
    name: 'a lease that expires is never claimed again',
    file: 'src/dispatch/reclaim.ts',
    search: `where state = 'delivering' and coalesce(lease_until, next_attempt_at) <= now()`,
    replace: `where state = 'delivering' and lease_until is null and next_attempt_at <= now()`,
    test: [claim, 'a delivery whose lease expired is claimed again, and its attempt is recorded as lost'],
  },
  {
    name: 'leases that expire use up no attempts',
    file: 'src/dispatch/reclaim.ts',
    search: 'begun and tries >= allowed as spent',
    replace: 'false as spent',
    test: [claim, 'a row whose last attempt was lost ends as dead at the next claim'],
  },
  {
    name: 'an attempt that was lost is not recorded',
    file: 'src/dispatch/reclaim.ts',
    search: 'from expired where begun\n  ),',
    replace: 'from expired where begun and id < 0\n  ),',
    test: [claim, 'a delivery whose lease expired is claimed again, and its attempt is recorded as lost'],
  },
  {
    name: 'what was lost together stays together',
    file: 'src/dispatch/reclaim.ts',
    search: 'begun and tries >= least(2, allowed - 1) as doubtful',
    replace: 'false as doubtful',
    test: [claim, 'rows that were lost together twice come back one by one, within a lease'],
  },
  {
    name: 'a row that was only released has used up an attempt',
    file: 'db/settle.ts',
    search: `attempts = o.attempts - (s.kind = 'released')::integer`,
    replace: 'attempts = o.attempts',
    test: [claim, 'a released row is due at once, and its attempt is not counted'],
  },
  {
    name: 'a listener that does not answer counts as healthy',
    file: 'src/dispatch/listener.ts',
    search: 'if (!this.#echoed) return false',
    replace: '',
    test: ['tests/dispatch/listener.test.ts', 'a half-open connection is noticed and replaced'],
  },
  {
    name: 'what is due and locked is asked for without a pause',
    file: 'src/dispatch/dispatcher.ts',
    search: 'Math.max(this.#claimer.nextDueAt - now, BUSY_POLL_MS)',
    replace: '0',
    test: [dispatcher, 'a due row that somebody has locked is waited for, without a hot loop'],
  },
  {
    name: 'one endpoint may have all slots of a dispatcher',
    file: 'db/claim.ts',
    search: 'greatest(max_held / greatest(count(*) over (), held_endpoints), 4)',
    replace: 'greatest(max_held, greatest(count(*) over (), held_endpoints), 4)',
    test: [caps, 'where half of many endpoints begin to hang, all at once, the others go on'],
  },
  {
    name: 'each claim passes by all dead rows',
    file: 'db/claim.ts',
    search: 'and (p.next_attempt_at, p.id) > (g.mark_due, g.mark_id)',
    replace: '',
    test: [deadRows, 'a claim passes by dead rows once, and the next one starts behind what it took'],
  },
  {
    name: 'behind dead rows, everything is looked at once only',
    file: 'src/dispatch/claimer.ts',
    search: 'const looks = start >= this.#lookAt',
    replace: 'const looks = this.#lookAt === 0',
    test: [
      deadRows,
      'a claimer looks at everything now and then, and meanwhile at the endpoints that it met',
    ],
  },
  {
    name: 'slow endpoints may hold all slots',
    file: 'src/dispatch/claimer.ts',
    search: 'Math.ceil(maxInFlight / 2) - slow',
    replace: 'maxInFlight - slow + slow',
    test: [
      caps,
      'twelve receivers that hang, unknown before, hold half of the slots at most, and the others flow',
    ],
  },
  {
    name: 'a breaker that never opens',
    file: 'db/settle.ts',
    search: `when l.breaker = 'closed' and l.in_row >= 10 and`,
    replace: `when l.breaker = 'closed' and l.in_row >= 1000000 and`,
    test: [breaker, '500 is a failure: the tenth opens the breaker, the ninth does not'],
  },
  {
    name: 'a probe that fails uses up an attempt',
    file: 'db/settle.ts',
    search: `(s.kind in ('handed-back', 'probe-failed'))::integer`,
    replace: `(s.kind in ('handed-back'))::integer`,
    test: [
      breaker,
      'a probe that fails gives its attempt back, and is on record: the retry schedule is left whole',
    ],
  },
  {
    name: 'an endpoint that returns is flooded',
    file: 'db/settle.ts',
    search: `when j.breaker <> 'closed' and j.judgement = 'closed' then 1`,
    replace: `when j.breaker <> 'closed' and j.judgement = 'closed' then 1000`,
    test: [
      breaker,
      'what waited goes out in order of age and at a growing pace: 1, 2, 4 … at once, as the slots say',
    ],
  },
  {
    name: 'a 2xx brings nothing back from the dead',
    file: 'db/settle.ts',
    search: 'recover_rest = j.recover_rest or j.succeeded and (j.owes_dead or j.more_dead)',
    replace: 'recover_rest = j.recover_rest',
    test: [recovery, 'the first 2xx to any event brings the rest, in order of age and once each'],
  },
  {
    name: 'a 410 does not pause',
    file: 'src/dispatch/deliver.ts',
    search: 'pause: verdict.pauseEndpoint === true',
    replace: 'pause: verdict.pauseEndpoint === undefined && false',
    test: [
      'tests/dispatch/pause.test.ts',
      'an answer of 410 pauses the endpoint: its event is dead, what else is owed waits and nothing is dropped',
    ],
  },
  {
    name: 'what is in flight is moved to another URL',
    file: 'db/migrations/0008_moved_urls.ts',
    search: `where o.ticket_id = (changed).id and o.state = 'pending'`,
    replace: `where o.ticket_id = (changed).id and o.state <> ''`,
    test: [
      'tests/dispatch/moved-urls.test.ts',
      'what is in flight is left to its attempt where the URL of tickets changes',
    ],
  },
  {
    name: 'only the first address of a name is checked',
    file: 'src/delivery/open-socket.ts',
    search: 'for (const { address, family } of addresses) {',
    replace: 'for (const { address, family } of addresses.slice(0, 1)) {',
    test: [guard, 'a name that resolves to a forbidden address is refused, alone and among allowed ones'],
  },
  {
    name: 'what is owed too long is kept',
    file: 'src/dispatch/expire.ts',
    search: `where state = 'pending' and id in (select id from candidate where`,
    replace: `where state = '' and id in (select id from candidate where`,
    test: ['tests/dispatch/expiry.test.ts', 'what is owed for 14 days 1 second is discarded as expired'],
  },
]
