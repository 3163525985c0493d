import type { Child } from 'hono/jsx'
import { type Seen, type Slot, type WindowName, windows } from './activity.ts'
import { pathWith } from './parts.tsx'
import { milliseconds, number } from './words.ts'

const width = 600
const height = 120
/** Where the scale stands, left of the picture: as the style sheet has it. */
const gutter = 52

/** `14:30`, where it is about days `01-31 14:00`. */
function clockIn(window: WindowName, at: number): string {
  const iso = new Date(at).toISOString()
  return window === '1h' ? iso.slice(11, 16) : `${iso.slice(5, 10)} ${iso.slice(11, 16)}`
}

/** Links to the same page with its charts over another time. */
export function Windows({ path, chosen }: { path: string; chosen: WindowName }) {
  return (
    <nav class="views" aria-label="Time that the charts show">
      {Object.entries(windows).map(([window, { name }]) => (
        <a
          href={window === '1h' ? path : pathWith(path, { window })}
          aria-current={window === chosen ? 'true' : undefined}
        >
          {name}
        </a>
      ))}
    </nav>
  )
}

/** Delivered and dead by the minute or hour, one bar each, as a picture that needs no script. */
export function SettledChart({ seen }: { seen: Seen }) {
  const { window, slots } = seen
  const { name, unit } = windows[window]
  const most = Math.max(1, ...slots.map(({ delivered, dead }) => delivered + dead))
  const scale = (n: number) => (n === 0 ? 0 : Math.max(2, (n / most) * (height - 4)))
  const step = width / slots.length
  const gap = Math.min(2, step / 4)
  const total = sum(slots)
  const busy = total.delivered + total.dead > 0
  const label = `Delivered and dead per ${unit} in the last ${name.replace(/^1 /, '')}: ${number(total.delivered)} delivered, ${number(total.dead)} dead, at most ${number(most)} ${per[unit]}`
  return (
    <Frame
      name={`Delivered and dead per ${unit}`}
      lines={busy ? [{ y: 4, text: number(most) }] : []}
      summary={<Summary total={total} />}
      seen={seen}
    >
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={label}>
        <Uncounted seen={seen} />
        {slots.slice(seen.uncounted).map(({ at, delivered, dead }, i) => {
          const [ok, bad] = [scale(delivered), scale(dead)]
          const left = (seen.uncounted + i) * step
          return (
            <g class={seen.uncounted + i === slots.length - 1 ? 'partial' : ''}>
              <title>{`${clockIn(window, at)} UTC: ${number(delivered)} delivered, ${number(dead)} dead`}</title>
              <rect class="hover" x={left} y="0" width={step} height={height} />
              <rect class="ok" x={left + gap / 2} y={height - ok} width={step - gap} height={ok} />
              <rect class="bad" x={left + gap / 2} y={height - ok - bad} width={step - gap} height={bad} />
            </g>
          )
        })}
      </svg>
    </Frame>
  )
}

const per = { minute: 'a minute', hour: 'an hour' } as const

function Summary({ total }: { total: { delivered: number; dead: number } }) {
  return (
    <>
      <span class="key ok">{number(total.delivered)} delivered</span>
      <span class={total.dead > 0 ? 'key bad' : 'key'}>{number(total.dead)} dead</span>
    </>
  )
}

function sum(slots: Slot[]): { delivered: number; dead: number } {
  return slots.reduce(
    (all, { delivered, dead }) => ({ delivered: all.delivered + delivered, dead: all.dead + dead }),
    { delivered: 0, dead: 0 },
  )
}

/** From the change to its delivery. The scale is logarithmic: what waited for an outage stands beside milliseconds. */
export function LatencyChart({ seen }: { seen: Seen }) {
  const { window, slots } = seen
  const { name, unit } = windows[window]
  const highest = Math.max(10, ...slots.map(({ p99 }) => p99 ?? 0))
  const y = (ms: number) => height - 3 - (Math.log10(Math.max(ms, 1)) / Math.log10(highest)) * (height - 10)
  const step = width / slots.length
  const last = slots.findLast(({ p50 }) => p50 !== null)
  const label =
    last === undefined
      ? `From change to delivery: nothing was delivered in the last ${name.replace(/^1 /, '')}`
      : `From change to delivery, by the ${unit}: at ${clockIn(window, last.at)} UTC ${half(last)}, ${nearlyAll(last)}`
  return (
    <Frame
      name="Time from change to delivery"
      lines={last === undefined ? [] : ticks(highest).map((ms) => ({ y: y(ms), text: milliseconds(ms) }))}
      summary={
        last === undefined ? (
          <span class="key">nothing delivered</span>
        ) : (
          <>
            <span class="key p50">{half(last)}</span>
            <span class="key p99">{nearlyAll(last)}</span>
          </>
        )
      }
      seen={seen}
    >
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={label}>
        <Uncounted seen={seen} />
        {(['p99', 'p50'] as const).map((name) => (
          <path
            class={name}
            d={line(
              slots.map((one) => one[name]),
              step,
              y,
            )}
          />
        ))}
        {slots.map((slot, i) => (
          <g>
            <title>
              {slot.p50 === null
                ? `${clockIn(window, slot.at)} UTC: nothing delivered`
                : `${clockIn(window, slot.at)} UTC: ${half(slot)}, ${nearlyAll(slot)}`}
            </title>
            <rect class="hover" x={i * step} y="0" width={step} height={height} />
          </g>
        ))}
      </svg>
    </Frame>
  )
}

const half = ({ p50 }: Slot) => `half within ${milliseconds(p50!)}`
const nearlyAll = ({ p99 }: Slot) => `99 of 100 within ${milliseconds(p99!)}`

const round = [10, 100, 1_000, 10_000, 60_000, 600_000, 3_600_000, 86_400_000]

/** Round times up to the highest; every second of them where they are many, so that their labels have room. */
function ticks(highest: number): number[] {
  const all = round.filter((ms) => ms <= highest)
  return all.length <= 3 ? all : all.filter((_, i) => i % 2 === (all.length + 1) % 2)
}

/** A step for each slot that has a value, with gaps where there is none. */
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

function Uncounted({ seen: { slots, uncounted } }: { seen: Seen }) {
  if (uncounted === 0) return <></>
  return (
    <g>
      <title>Not counted yet</title>
      <rect class="uncounted" x="0" y="0" width={(uncounted * width) / slots.length} height={height} />
    </g>
  )
}

/** @param lines what stands at the left, in the picture's own coordinates: text would be stretched with it */
function Frame({
  name,
  lines,
  summary,
  seen: { window, slots, uncounted },
  children,
}: {
  name: string
  lines: { y: number; text: string }[]
  summary: Child
  seen: Seen
  children?: Child
}) {
  return (
    <figure class="chart">
      <figcaption>
        <b>{name}</b> {summary}
        {uncounted > 0 && (
          <span class="key">counted back to {clockIn(window, slots[uncounted]!.at)} UTC</span>
        )}
      </figcaption>
      <div class="plot">
        {children}
        <svg class="lines" aria-hidden="true">
          {lines.map(({ y, text }) => (
            <>
              <line x1={gutter} x2="100%" y1={y} y2={y} />
              <text x={gutter - 6} y={y + 4} text-anchor="end">
                {text}
              </text>
            </>
          ))}
        </svg>
      </div>
      <div class="axis" aria-hidden="true">
        <span>{clockIn(window, slots[0]!.at)} UTC</span>
        <span>{clockIn(window, slots[slots.length / 2]!.at)}</span>
        <span>now</span>
      </div>
    </figure>
  )
}
