import { readdirSync, readFileSync } from 'node:fs'

// sysconf(_SC_CLK_TCK), which is 100 on every Linux that Node runs on.
const MICROSECONDS_A_TICK = 10_000

interface Stat {
  parent: number
  ticks: number
  ticksOfReaped: number
}

/**
 * Microseconds of processor time that a process has used; with `children`, that of those it started too, the
 * ended ones included: a Postgres with all its backends. Null where there is no /proc.
 */
export function cpuMicroseconds(pid: number, { children = false } = {}): number | null {
  const own = statOf(pid)
  if (own === undefined) return null
  let ticks = own.ticks
  if (children) {
    ticks += own.ticksOfReaped
    for (const name of readdirSync('/proc')) {
      const stat = /^\d+$/.test(name) ? statOf(Number(name)) : undefined
      if (stat?.parent === pid) ticks += stat.ticks
    }
  }
  return ticks * MICROSECONDS_A_TICK
}

/** See proc_pid_stat(5): fields count from 1, and the second, in parentheses, may hold spaces. */
function statOf(pid: number): Stat | undefined {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return undefined
  }
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const field = (number: number) => Number(fields[number - 3])
  return { parent: field(4), ticks: field(14) + field(15), ticksOfReaped: field(16) + field(17) }
}
