import type { Attempt } from '../client/types.ts'
import { headersOf, type SentRequest } from './curl.ts'
import { Empty, Theirs, Time } from './parts.tsx'
import { milliseconds, span } from './words.ts'

/** Every attempt that is kept, the last one first. */
export function Timeline({ attempts, sent }: { attempts: Attempt[]; sent: SentRequest }) {
  if (attempts.length === 0) return <Empty>Nothing was sent yet.</Empty>
  return (
    <ol class="timeline">
      {attempts
        .map((one, i) => (
          <li class={one.error === null ? 'delivered' : 'dead'} data-key={`${one.attempt} ${one.started_at}`}>
            <p>
              <b>Attempt {one.attempt}</b> <Outcome one={one} />
            </p>
            <p class="about">
              <Time at={one.started_at} />
              {i > 0 && `, ${span(secondsBetween(attempts[i - 1]!, one))} after the one before`}
              {one.duration_ms !== null && `; took ${milliseconds(one.duration_ms)}`}
            </p>
            <Exchange one={one} sent={sent} open={i === attempts.length - 1 && one.error !== null} />
          </li>
        ))
        .toReversed()}
    </ol>
  )
}

function secondsBetween(before: Attempt, after: Attempt): number {
  return Math.max(0, (Date.parse(after.started_at) - Date.parse(before.started_at)) / 1_000)
}

/** What the receiver said is what an operator looks for: of the last failure it lies open, above what was sent. */
function Exchange({ one, sent, open }: { one: Attempt; sent: SentRequest; open: boolean }) {
  const headers = headersOf({ ...sent, attempt: one.attempt, at: one.started_at })
  return (
    <details open={open}>
      <summary>Response and request</summary>
      <h3>Response{one.status !== null && `: ${one.status}`}</h3>
      {one.response === null || one.response === '' ? (
        <Empty>{one.status === null ? 'There was none.' : 'It had no body.'}</Empty>
      ) : (
        <pre tabindex={0}>{one.response}</pre>
      )}
      <h3>Request</h3>
      <pre tabindex={0}>{[`POST ${sent.url}`, ...headers.map((pair) => pair.join(': '))].join('\n')}</pre>
    </details>
  )
}

function Outcome({ one: { error, status } }: { one: Attempt }) {
  if (error === null) return <span>{status} delivered</span>
  return (
    <span class="bad">
      <Theirs text={error} />
    </span>
  )
}
