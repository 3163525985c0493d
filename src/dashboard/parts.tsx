import type { Child } from 'hono/jsx'
import type { Delivery, Endpoint, Operation } from '../client/types.ts'
import { clock, endpointStates, number, relative, sentence } from './words.ts'

/** A time with its zone, and how long ago that was: `14:30:00 UTC (3 min ago)`. */
export function Time({ at, none = '–' }: { at: string | null | undefined; none?: string }) {
  if (at === null || at === undefined) return <>{none}</>
  return (
    <time datetime={at} title={at}>
      {clock(at)} ({relative(at)})
    </time>
  )
}

/** The same in a table. */
export function When({ at, none = '–' }: { at: string | null | undefined; none?: string }) {
  if (at === null || at === undefined) return <>{none}</>
  return (
    <time class="when" datetime={at} title={at}>
      <span>{clock(at)}</span> <small>{relative(at)}</small>
    </time>
  )
}

/**
 * A cell of a table. Where the page is narrow a row is a card, and its cells say what they are, or are left out where they are
 * empty.
 * @param kind classes: `full` is a line of its own there, `wide` is not shown there, `number` stands at the right elsewhere
 */
export function Cell({
  label,
  empty = false,
  kind = '',
  children,
}: {
  label: string
  empty?: boolean
  kind?: string
  children?: Child
}) {
  return (
    <td class={`${kind}${empty ? ' none' : ''}`.trim() || undefined} data-label={label}>
      {empty ? '–' : children}
    </td>
  )
}

/** Text that others wrote: its direction changes nothing around it. */
export function Theirs({ text, none = '–' }: { text: string | null | undefined; none?: string }) {
  return text === null || text === undefined || text === '' ? <>{none}</> : <bdi>{text}</bdi>
}

const iso = /(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)/

/** The API's words as a sentence, its times and large counts as people read them. */
export function Words({ text }: { text: string }) {
  return (
    <bdi>
      {sentence(text)
        .split(iso)
        .map((part) =>
          iso.test(part) ? (
            <time datetime={part} title={part}>
              {clock(part)}
            </time>
          ) : (
            part.replace(/\d{4,}(?= events? owed)/, (n) => number(Number(n)))
          ),
        )}
    </bdi>
  )
}

export function State({ state }: { state: Delivery['state'] }) {
  return <span class={`state ${state}`}>{state}</span>
}

export function EndpointState({ status }: { status: Endpoint['status'] }) {
  return <span class={`state ${status}`}>{endpointStates[status]}</span>
}

export function OperationState({ state }: { state: Operation['state'] }) {
  return <span class={`state ${state}`}>{state}</span>
}

/** A part of a page that stays up to date. */
export function Region({ name, children }: { name: string; children?: Child }) {
  return <div data-region={name}>{children}</div>
}

export function Empty({ children }: { children?: Child }) {
  return <p class="empty">{children}</p>
}

/** Facts by their names, those that are null left out. */
export function Facts({ facts }: { facts: [string, Child | null][] }) {
  return (
    <dl class="facts">
      {facts
        .filter(([, value]) => value !== null)
        .map(([name, value]) => (
          <div data-key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  )
}

export function deliveryPath(eventId: string): string {
  return `/deliveries/${encodeURIComponent(eventId)}`
}

export function endpointPath(id: string): string {
  return `/endpoints/${encodeURIComponent(id)}`
}

export function operationPath(id: string): string {
  return `/operations/${encodeURIComponent(id)}`
}

/** Links through a list by keyset: there is no way back but the browser's own, or to its beginning. */
export function Paging({
  path,
  query,
  next,
}: {
  path: string
  query: Record<string, string>
  next: string | null
}) {
  const { cursor, ...rest } = query
  if (cursor === undefined && next === null) return <></>
  return (
    <nav class="paging" aria-label="Pages">
      {cursor !== undefined && <a href={pathWith(path, rest)}>Newest</a>}
      {next !== null && (
        <a href={pathWith(path, { ...rest, cursor: next })} rel="next">
          Older
        </a>
      )}
    </nav>
  )
}

export function pathWith(path: string, query: Record<string, string>): string {
  const search = new URLSearchParams(query).toString()
  return search === '' ? path : `${path}?${search}`
}
