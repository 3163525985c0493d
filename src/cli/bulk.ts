import { createInterface } from 'node:readline/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '../client/client.ts'
import type { DryRun, Operation, Started } from '../client/types.ts'
import { UsageError, type Values } from './command.ts'
import { filterOptions, filtersOf } from './filters.ts'
import type { Output } from './output.ts'
import { count } from '../words.ts'

/** What replay and discard take besides an event_id: the filters of deliveries, and how to go about it. */
export const bulkOptions = {
  ...filterOptions,
  all: { type: 'boolean', help: 'everything there is, in place of filters' },
  rate: { type: 'string', value: 'n', help: 'events a second, at most; 200 unless told otherwise' },
  yes: {
    type: 'boolean',
    short: 'y',
    help: 'do it; without, it is only said what would be done, and asked on a terminal',
  },
  'no-wait': { type: 'boolean', help: 'do not wait for what becomes of it' },
} as const

export interface Bulk {
  /** As in "replay 3 events". */
  verb: 'replay' | 'discard'
  start: (body: { dry_run: boolean }) => Promise<DryRun | Started>
}

export type BulkValues = Values<typeof bulkOptions>

/**
 * What selects events, for the body of a request.
 * @throws UsageError where there is neither a filter nor --all, or both
 */
export function selectionOf(values: BulkValues): Record<string, string | number | true> {
  const filters = filtersOf(values)
  const filtered = Object.keys(filters).length > 0
  if (filtered && values.all) throw new UsageError('--all and filters do not go together')
  if (!filtered && !values.all) throw new UsageError('give an event_id, a filter, or --all')
  const rate = values.rate === undefined ? undefined : Number(values.rate)
  if (rate !== undefined && !(Number.isInteger(rate) && rate >= 1 && rate <= 10_000)) {
    throw new UsageError('--rate must be a whole number from 1 to 10000')
  }
  return {
    ...filters,
    ...(values.all ? { all: true as const } : {}),
    ...(rate === undefined ? {} : { rate }),
  }
}

/** A dry run, the question, the start, and then how far it is. */
export async function runBulk(
  out: Output,
  client: Client,
  { verb, start }: Bulk,
  values: BulkValues & { json?: boolean | undefined },
): Promise<number> {
  const dry = (await start({ dry_run: true })) as DryRun
  if (!values.json) printDryRun(out, verb, dry)
  if (dry.matched === 0) {
    if (values.json) out.json(dry)
    return 0
  }
  if (
    !values.yes &&
    !(await confirmed(out, `${verb} ${count(dry.matched, 'event')}?`, values.json === true))
  ) {
    if (values.json) out.json(dry)
    else out.note('Nothing was done. Add --yes to do it.')
    return 0
  }
  const { operation } = (await start({ dry_run: false })) as Started
  const ended = values['no-wait'] ? operation : await follow(out, client, operation, values.json === true)
  if (values.json) out.json(ended)
  else printOperation(out, ended)
  return ended.state === 'failed' || ended.state === 'cancelled' ? 1 : 0
}

function printDryRun(out: Output, verb: string, { matched, states, would_skip }: DryRun): void {
  if (matched === 0) return out.line('There are no such events.')
  const listed = Object.entries(states).map(([state, n]) => `${n} ${state}`)
  out.line(`${count(matched, 'event')} to ${verb}: ${listed.join(', ')}`)
  for (const [reason, n] of Object.entries(would_skip)) {
    if (n > 0) out.line(`  ${n} of them would be skipped: ${skipReasons[reason] ?? reason}`)
  }
}

/** In the API's words, and in these. */
const skipReasons: Record<string, string> = {
  no_url: 'no URL is configured for them now (no_url)',
  in_flight: 'they are in flight (in_flight)',
  owed: 'they are owed already (owed)',
  settled: 'they were settled meanwhile (settled)',
  settled_since: 'they were settled anew meanwhile (settled_since)',
  replayed_since: 'they were replayed meanwhile (replayed_since)',
  gone: 'they are past their retention (gone)',
}

/** On a terminal only: a script says --yes. */
export async function confirmed(out: Output, question: string, json: boolean): Promise<boolean> {
  if (json || !out.isTerminal || !process.stdin.isTTY) return false
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim())
  } finally {
    terminal.close()
  }
}

const betweenLooksMs = 500

/** Until it has ended. It goes on also where this process does not. */
async function follow(out: Output, client: Client, operation: Operation, json: boolean): Promise<Operation> {
  let seen = operation
  if (!json) out.note(`operation ${operation.id} (Ctrl-C ends the watching, and not the operation)`)
  let said = ''
  while (seen.state === 'queued' || seen.state === 'running') {
    await sleep(betweenLooksMs)
    seen = await client.getOperation(operation.id)
    const progress = `${seen.state}: ${seen.done + seen.skipped} of ${seen.matched}`
    if (!json && progress !== said) out.note(progress)
    said = progress
  }
  return seen
}

function printOperation(out: Output, operation: Operation): void {
  const { id, kind, state, matched, done, skipped, skipped_reasons, error } = operation
  out.styled('bold', `${kind} ${id} is ${state}`)
  out.fields([
    ['matched', matched],
    ['done', done],
    ['skipped', skipped],
    ...Object.entries(skipped_reasons).map(
      ([reason, n]) => ['', `${n}: ${skipReasons[reason] ?? reason}`] as const,
    ),
    ['error', error],
  ])
}
