import { z } from 'zod'
import { whyUnstorable } from '../../delivery/storable-text.ts'

const deepest = 100
const mostIssues = 50

interface Node {
  value: unknown
  depth: number
  key?: string | number
  parent?: Node
}

/** Any JSON that `jsonb` can store: it refuses NUL, lone surrogates, numbers out of range, and what is nested too deep. */
export const jsonValue = z.unknown().superRefine((value, context) => {
  for (const { path, message } of findUnstorable(value)) context.addIssue({ code: 'custom', path, message })
})

/** Walks without recursion: JSON.parse gives any depth, and the stack does not. */
function findUnstorable(value: unknown): { path: (string | number)[]; message: string }[] {
  const issues: { path: (string | number)[]; message: string }[] = []
  const stack: Node[] = [{ value, depth: 0 }]
  const report = (node: Node, message: string) => issues.push({ path: pathOf(node), message })
  for (let node = stack.pop(); node !== undefined && issues.length < mostIssues; node = stack.pop()) {
    const { value, depth } = node
    if (typeof value === 'string') {
      const why = whyUnstorable(value)
      if (why !== undefined) report(node, why)
    } else if (typeof value === 'number' && !Number.isFinite(value)) {
      report(node, 'must be a number that a double can hold: send larger ones as strings')
    } else if (typeof value === 'object' && value !== null) {
      if (depth >= deepest) {
        report(node, `must not be nested deeper than ${deepest} levels`)
        continue
      }
      for (const [key, child] of Object.entries(value)) {
        const next = { value: child as unknown, depth: depth + 1, key, parent: node }
        const why = Array.isArray(value) ? undefined : whyUnstorable(key)
        if (why !== undefined) report(next, `is a key that ${why}`)
        stack.push(next)
      }
    }
  }
  return issues
}

function pathOf(node: Node): (string | number)[] {
  const path: (string | number)[] = []
  for (let at: Node | undefined = node; at?.key !== undefined; at = at.parent) path.unshift(at.key)
  return path
}
