import assert from 'node:assert/strict'
import test from 'node:test'
import { createResolve } from '../../src/delivery/look-up.ts'
import { turns } from './receivers.ts'

/** Look-ups that end when the test says so. */
function manual() {
  const begun: { name: string; end: (error?: Error) => void }[] = []
  const lookUp = (name: string) =>
    new Promise<{ address: string; family: number }[]>((resolve, reject) => {
      begun.push({
        name,
        end: (error) => (error ? reject(error) : resolve([{ address: '127.0.0.1', family: 4 }])),
      })
    })
  return { begun, lookUp, names: () => begun.map(({ name }) => name) }
}

test('look-ups of one name at the same time are one look-up, and later ones are new', async () => {
  const resolve = createResolve()
  const first = resolve('localhost')
  assert.equal(resolve('localhost'), first)
  assert.ok((await first).length > 0)
  const second = resolve('localhost')
  assert.notEqual(second, first)
  await second
})

test('look-ups leave threads to others, and go on in order', async () => {
  const { begun, lookUp, names } = manual()
  const resolve = createResolve({ lookUp, threads: 3 })
  const all = ['a', 'b', 'c', 'd'].map((name) => resolve(name))
  await turns(2)
  assert.deepEqual(names(), ['a', 'b'])
  begun[1]!.end()
  await all[1]
  await turns(2)
  assert.deepEqual(names(), ['a', 'b', 'c'])
  for (let i = 0; i < 4; i += 1) {
    begun[i]?.end()
    await turns(2)
  }
  for (const answer of await Promise.all(all)) assert.deepEqual(answer, [{ address: '127.0.0.1', family: 4 }])
  assert.deepEqual(names(), ['a', 'b', 'c', 'd'])
})

test('names that hung have one thread between them, and are in nobody’s way', async () => {
  const { begun, lookUp, names } = manual()
  const resolve = createResolve({ lookUp, threads: 4, hangsAfterMs: 0 })
  const hung = ['x', 'y', 'z'].map((name) => resolve(name).catch(() => undefined))
  for (let i = 0; i < 3; i += 1) {
    await turns(2)
    begun[i]!.end(new Error('silent'))
  }
  await Promise.all(hung)

  const again = ['x', 'y', 'z'].map((name) => resolve(name))
  const others = ['a', 'b'].map((name) => resolve(name))
  await turns(2)
  assert.deepEqual(names().slice(3).sort(), ['a', 'b', 'x'])
  for (let i = 3; i < 8; i += 1) {
    begun[i]!.end()
    await turns(2)
  }
  await Promise.all([...again, ...others])
  assert.deepEqual(names().slice(6), ['y', 'z'])
})
