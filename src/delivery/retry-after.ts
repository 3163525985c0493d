const MAX_WAIT_MS = 24 * 60 * 60 * 1000

/**
 * Reads a Retry-After header (RFC 9110, 10.2.3): a number of seconds, or a date in any of the three formats
 * of 5.6.7.
 *
 * Returns the milliseconds to wait after `now`, at most 24 h (contract, section 3); 0 for a date that is
 * past; null where there is no header or it says neither.
 */
export function parseRetryAfter(value: string | null, now: Date): number | null {
  const text = value?.trim() ?? ''
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1000, MAX_WAIT_MS)
  const at = parseHttpDate(text, now)
  return at === null ? null : Math.min(Math.max(at - now.getTime(), 0), MAX_WAIT_MS)
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const DAY = '(?:mon|tue|wed|thu|fri|sat|sun)'
const MONTH = `(?<month>${MONTHS.join('|')})`
const TIME = String.raw`(?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)`

// Date.parse reads far more than dates ("1", "2030 foo"), so the formats are spelled out.
const FORMATS = [
  String.raw`^${DAY}, (?<day>\d\d) ${MONTH} (?<year>\d{4}) ${TIME} GMT$`, // IMF-fixdate
  String.raw`^${DAY}[a-z]*day, (?<day>\d\d)-${MONTH}-(?<year>\d\d) ${TIME} GMT$`, // RFC 850
  String.raw`^${DAY} ${MONTH} (?<day>[ \d]\d) ${TIME} (?<year>\d{4})$`, // asctime
].map((format) => new RegExp(format, 'i'))

function parseHttpDate(text: string, now: Date): number | null {
  for (const format of FORMATS) {
    const parts = format.exec(text)?.groups
    if (parts) return toTime(parts, now)
  }
  return null
}

function toTime(parts: Record<string, string>, now: Date): number | null {
  const [day, hour, minute, second] = [parts.day, parts.hour, parts.minute, parts.second].map(Number) as [
    number,
    number,
    number,
    number,
  ]
  const month = MONTHS.indexOf(parts.month?.toLowerCase() ?? '')
  const year = parts.year?.length === 2 ? nearestYear(Number(parts.year), now) : Number(parts.year)
  const midnight = new Date(0)
  midnight.setUTCFullYear(year, month, day)
  // 60 is a leap second; a day past the month's end would roll over into the next month.
  if (midnight.getUTCDate() !== day || hour > 23 || minute > 59 || second > 60) return null
  return midnight.getTime() + ((hour * 60 + minute) * 60 + second) * 1000
}

// RFC 9110, 5.6.7: two digits that appear to lie more than 50 years ahead mean the past year that ends in
// them.
function nearestYear(lastTwoDigits: number, now: Date): number {
  const thisYear = now.getUTCFullYear()
  const year = thisYear - (thisYear % 100) + lastTwoDigits
  if (year > thisYear + 50) return year - 100
  if (year <= thisYear - 50) return year + 100
  return year
}
