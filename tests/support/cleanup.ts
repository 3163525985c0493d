type Action = () => unknown

interface HasAfter {
  after(run: () => Promise<void>): void
}

const stacks = new WeakMap<HasAfter, Action[]>()

/**
 * Runs `action` when the test is over: in reverse order of registration, each awaited, all of them also where one fails.
 * `owner` is the test's context, or an object `{ after }` with node:test's own for a whole file.
 */
export function onCleanup(owner: HasAfter, action: Action): void {
  const known = stacks.get(owner)
  if (known) {
    known.push(action)
    return
  }
  const stack = [action]
  stacks.set(owner, stack)
  owner.after(async () => {
    const failures: unknown[] = []
    for (let next = stack.pop(); next; next = stack.pop()) {
      try {
        await next()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length === 1) throw failures[0]
    if (failures.length > 1) throw new AggregateError(failures, 'cleaning up failed')
  })
}
