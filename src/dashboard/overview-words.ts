import type { BacklogTotal } from '../api/endpoint-rows.ts'
import type { Overview } from './overview.tsx'
import { count } from './words.ts'

export function owedOf({ due, waiting, delivering }: BacklogTotal): number {
  return due + waiting + delivering
}

/** What needs somebody, the gravest first. */
export function problems({ ready, troubled, stuck, hour }: Overview): string[] {
  const having = (...wanted: string[]) =>
    troubled.endpoints.filter(({ status }) => wanted.includes(status)).length
  const more = troubled.total > troubled.endpoints.length ? 'At least ' : ''
  const dead = hour.slots.reduce((sum, one) => sum + one.dead, 0)
  const agents = stuck.items.length
  return [
    ...Object.entries(ready.checks).flatMap(([name, { status }]) =>
      status === 'ok'
        ? []
        : [name === 'dispatchers' ? 'Nothing is sent: no dispatcher runs' : `The service warns: ${name}`],
    ),
    ...told(having('open', 'probing'), 'endpoint', 'does not answer', 'do not answer').map(
      (text) => more + text,
    ),
    ...told(agents, `agent${stuck.next_cursor === null ? '' : ' or more'}`, 'is stuck', 'are stuck'),
    ...told(having('paused'), 'endpoint', 'is paused', 'are paused'),
    ...told(having('failing'), 'endpoint', 'fails and is retried', 'fail and are retried'),
    ...told(dead, 'event', 'died in the last hour'),
  ]
}

function told(n: number, noun: string, one: string, many = one): string[] {
  return n === 0 ? [] : [`${count(n, noun)} ${n === 1 ? one : many}`]
}

/** Where nothing needs anybody. */
export function calm({ begun }: Overview): string {
  return begun ? 'All is well' : 'All is well: nothing was sent yet'
}
