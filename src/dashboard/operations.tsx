import type { Operation, Page } from '../client/types.ts'
import { endpointsById, type EndpointBrief } from './about-endpoints.ts'
import { inWords } from './filter.ts'
import { here, page } from './layout.tsx'
import { apiOf, type PageContext, type PageServices } from './pages.ts'
import {
  Cell,
  Empty,
  Facts,
  OperationState,
  operationPath,
  Paging,
  pathWith,
  Region,
  Theirs,
  Time,
  When,
} from './parts.tsx'
import { count, number, sentence, span } from './words.ts'

export async function operationsPage(c: PageContext, services: PageServices) {
  const query = c.req.query()
  const { items, next_cursor } = await apiOf(c, services).get<Page<Operation>>('/operations', {
    limit: 50,
    ...query,
  })
  const endpoints = await endpointsById(services.db, endpointsOf(items))
  return page(
    c,
    { title: 'Operations', section: '/operations', live: here(c) },
    <>
      <h1>Operations</h1>
      <p class="lead">
        Replays and discards of many events. To begin one, filter the <a href="/deliveries">deliveries</a> and
        press what stands above them.
      </p>
      <Region name="operations">
        {items.length === 0 ? (
          <Empty>There was none yet.</Empty>
        ) : (
          <OperationTable operations={items} endpoints={endpoints} />
        )}
        <Paging path="/operations" query={query} next={next_cursor} />
      </Region>
    </>,
  )
}

/** The endpoints that operations select by. */
export function endpointsOf(operations: readonly Operation[]): string[] {
  return operations.flatMap(({ filter }) => filter.endpoint_id ?? [])
}

/** @param endpoints by their ids, for their names */
export function OperationTable({
  operations,
  endpoints,
}: {
  operations: Operation[]
  endpoints: Map<string, EndpointBrief>
}) {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Operation</th>
          <th scope="col">State</th>
          <th scope="col">Progress</th>
          <th scope="col">By</th>
          <th scope="col">Begun</th>
        </tr>
      </thead>
      <tbody>
        {operations.map((one) => (
          <tr data-key={one.id}>
            <th scope="row">
              <a href={operationPath(one.id)}>
                {sentence(one.kind)} of <bdi>{inWords(one.filter, endpoints)}</bdi>
              </a>
            </th>
            <Cell label="State">
              <OperationState state={one.state} />
            </Cell>
            <Cell label="Progress" kind="full">
              <Progress operation={one} />
            </Cell>
            <Cell label="By">
              <Theirs text={one.requested_by} />
            </Cell>
            <Cell label="Begun" kind="full">
              <When at={one.created_at} />
            </Cell>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function percent({ done, skipped, matched }: Operation): number {
  return matched === 0 ? 100 : Math.floor(((done + skipped) / matched) * 100)
}

/** For the tab: how far it is while it runs. */
function titleOf(one: Operation): string {
  return one.state === 'running' ? `${percent(one)} %` : sentence(one.state)
}

function Progress({ operation }: { operation: Operation }) {
  const { done, skipped, matched } = operation
  return (
    <>
      <progress max={Math.max(matched, 1)} value={done + skipped} aria-label="Progress"></progress>{' '}
      <small>
        {percent(operation)} % of {count(matched, 'event')}
      </small>
    </>
  )
}

export async function operationPage(c: PageContext, services: PageServices, id: string) {
  const one = await apiOf(c, services).get<Operation>(operationPath(id))
  const endpoints = await endpointsById(services.db, endpointsOf([one]))
  const under = one.state === 'queued' || one.state === 'running'
  const name = `${sentence(one.kind)} of ${count(one.matched, 'event')}`
  return page(
    c,
    { title: `${titleOf(one)}: ${name}`, section: '/operations', live: here(c) },
    <Region name="operation">
      <h1>
        {name} <OperationState state={one.state} />
      </h1>
      <p class="lead">{progressInWords(one)}</p>
      <Progress operation={one} />
      {under && c.get('visitor').mayWrite && (
        <form method="post" action={`${operationPath(id)}/cancel`} class="actions">
          <button class="danger">Cancel what is left</button>
        </form>
      )}
      <Facts
        facts={[
          [
            'Selected',
            <a href={pathWith('/deliveries', one.filter)}>
              <bdi>{inWords(one.filter, endpoints)}</bdi>
            </a>,
          ],
          ['Done', number(one.done)],
          [
            'Skipped',
            one.skipped === 0
              ? '0'
              : Object.entries(one.skipped_reasons)
                  .map(([reason, n]) => `${number(n)} ${skipped[reason] ?? reason}`)
                  .join(', '),
          ],
          ['Rate', `${number(one.rate)} events a second at most`],
          ['Reason', one.reason === null ? null : <Theirs text={one.reason} />],
          ['By', <Theirs text={one.requested_by} />],
          ['Created', <Time at={one.created_at} />],
          ['Started', <Time at={one.started_at} none="not yet: a dispatcher takes it" />],
          ['Finished', one.finished_at === null ? null : <Time at={one.finished_at} />],
          ['Error', one.error === null ? null : <Theirs text={one.error} />],
        ]}
      />
    </Region>,
  )
}

/** Why events are left out, as the API names it. */
export const skipped: Record<string, string> = {
  no_url: 'have no URL configured any more',
  in_flight: 'are being sent right now',
}

function progressInWords({ state, matched, done, skipped, rate, error }: Operation): string {
  const left = matched - done - skipped
  const leftOut = skipped > 0 ? `, ${number(skipped)} skipped` : ''
  switch (state) {
    case 'queued':
      return `It waits for a dispatcher. It will take ${span(Math.max(1, matched / rate))} or more.`
    case 'running':
      return `${count(done, 'event')} done${leftOut}, ${number(left)} to go: about ${span(Math.max(1, left / rate))}.`
    case 'done':
      return `It is done: ${count(done, 'event')}${leftOut}.`
    case 'cancelled':
      return `It was cancelled after ${count(done, 'event')}: what it did stays done.`
    case 'failed':
      return `It failed after ${count(done, 'event')}: ${error ?? 'see the log'}.`
    default:
      return state satisfies never
  }
}
