/** `90` → `1m 30s`; of two units at most. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  if (seconds > 0 && seconds < 1) return `${Math.round(seconds * 1000)}ms`
  const parts = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3_600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'm'],
    [whole % 60, 's'],
  ] as const
  const first = parts.findIndex(([count]) => count > 0)
  if (first === -1) return '0s'
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join(' ')
}

/** `2026-01-31T14:30:00.123Z (3m ago)`; null for null. */
export function moment(time: string | null | undefined, now = Date.now()): string | null {
  if (time === null || time === undefined) return null
  const seconds = (now - Date.parse(time)) / 1000
  return seconds >= 0 ? `${time} (${duration(seconds)} ago)` : `${time} (in ${duration(-seconds)})`
}

/** `1 event`, `2 events`. */
export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}
