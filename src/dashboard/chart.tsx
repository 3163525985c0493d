import type { Child } from 'hono/jsx'
import type { Minute } from './activity.ts'
import { milliseconds, number } from './words.ts'

const width = 600
const height = 120

const clock = (at: number) => new Date(at).toISOString().slice(11, 16)

/** Delivered and dead by the minute, one bar each, as a picture that needs no script. */
export function SettledChart({ minutes }: { minutes: Minute[] }) {
  const most = Math.max(1, ...minutes.map(({ delivered, dead }) => delivered + dead))
  const scale = (n: number) => (n === 0 ? 0 : Math.max(2, (n / most) * (height - 4)))
  const step = width / minutes.length
  const total = sum(minutes)
  const busy = total.delivered + total.dead > 0
  const label = `Delivered and dead per minute in the last hour: ${number(total.delivered)} delivered, ${number(total.dead)} dead, at most ${number(most)} a minute`
  return (
    <Frame
      name="Settled per minute"
      scale={busy ? `at most ${number(most)}` : ''}
      summary={<Summary total={total} />}
    >
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={label}>
        {minutes.map(({ at, delivered, dead }, i) => {
          const [ok, bad] = [scale(delivered), scale(dead)]
          const x = i * step + 1
          return (
            <g class={i === minutes.length - 1 ? 'partial' : ''}>
              <title>{`${clock(at)} UTC: ${number(delivered)} delivered, ${number(dead)} dead`}</title>
              <rect class="hover" x={i * step} y="0" width={step} height={height} />
              <rect class="ok" x={x} y={height - ok} width={step - 2} height={ok} />
              <rect class="bad" x={x} y={height - ok - bad} width={step - 2} height={bad} />
            </g>
          )
        })}
      </svg>
    </Frame>
  )
}

function Summary({ total }: { total: { delivered: number; dead: number } }) {
  return (
    <>
      <span class="key ok">{number(total.delivered)} delivered</span>
      <span class={total.dead > 0 ? 'key bad' : 'key'}>{number(total.dead)} dead</span>
    </>
  )
}

function sum(minutes: Minute[]): { delivered: number; dead: number } {
  return minutes.reduce(
    (all, { delivered, dead }) => ({ delivered: all.delivered + delivered, dead: all.dead + dead }),
    { delivered: 0, dead: 0 },
  )
}

/** From the change to its delivery, by the minute. The scale is logarithmic: what waited for an outage stands beside milliseconds. */
export function LatencyChart({ minutes }: { minutes: Minute[] }) {
  const highest = Math.max(10, ...minutes.map(({ p99 }) => p99 ?? 0))
  const y = (ms: number) =>
    height - 3 - (Math.log10(Math.max(ms, 1)) / Math.log10(Math.max(highest, 10))) * (height - 6)
  const step = width / minutes.length
  const last = minutes.findLast(({ p50 }) => p50 !== null)
  const label =
    last === undefined
      ? 'From change to delivery: nothing was delivered in the last hour'
      : `From change to delivery, by the minute: at ${clock(last.at)} UTC half within ${milliseconds(last.p50!)}, 99 percent within ${milliseconds(last.p99!)}`
  return (
    <Frame
      name="From change to delivery"
      scale={last === undefined ? '' : `log scale to ${milliseconds(highest)}`}
      summary={last === undefined ? <span class="key">nothing delivered</span> : <Latest minute={last} />}
    >
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={label}>
        {(['p99', 'p50'] as const).map((name) => (
          <path
            class={name}
            d={line(
              minutes.map((one) => one[name]),
              step,
              y,
            )}
          />
        ))}
        {minutes.map(({ at, p50, p99 }, i) => (
          <g>
            <title>
              {p50 === null
                ? `${clock(at)} UTC: nothing delivered`
                : `${clock(at)} UTC: p50 ${milliseconds(p50)}, p99 ${milliseconds(p99!)}`}
            </title>
            <rect class="hover" x={i * step} y="0" width={step} height={height} />
          </g>
        ))}
      </svg>
    </Frame>
  )
}

function Latest({ minute }: { minute: Minute }) {
  return (
    <>
      <span class="key p50">p50 {milliseconds(minute.p50!)}</span>
      <span class="key p99">p99 {milliseconds(minute.p99!)}</span>
    </>
  )
}

/** A step for each minute that has a value, with gaps where there is none. */
function line(values: (number | null)[], step: number, y: (ms: number) => number): string {
  return values
    .map((value, i) => {
      if (value === null) return ''
      const begins = i === 0 || values[i - 1] === null
      const at = y(value).toFixed(1)
      return `${begins ? 'M' : 'L'}${i * step} ${at}L${(i + 1) * step} ${at}`
    })
    .join('')
}

function Frame({
  name,
  scale,
  summary,
  children,
}: {
  name: string
  scale: string
  summary: Child
  children?: Child
}) {
  return (
    <figure class="chart">
      <figcaption>
        <b>{name}</b> {summary}
        <span class="scale" aria-hidden="true">
          {scale}
        </span>
      </figcaption>
      <div class="plot">{children}</div>
      <div class="axis" aria-hidden="true">
        <span>1 h ago</span>
        <span>30 min</span>
        <span>now</span>
      </div>
    </figure>
  )
}
