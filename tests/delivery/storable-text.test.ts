import assert from 'node:assert/strict'
import test from 'node:test'
import { storableText } from '../../src/delivery/storable-text.ts'

const rows: [name: string, text: string, maxLength: number | undefined, expected: string][] = [
  ['plain text stays', 'abc', undefined, 'abc'],
  ['NUL is replaced', 'a\0b\0', undefined, 'a\uFFFDb\uFFFD'],
  ['a lone high surrogate is replaced', 'a\uD83D', undefined, 'a\uFFFD'],
  ['a lone low surrogate is replaced', '\uDE00a', undefined, '\uFFFDa'],
  ['a pair stays', '😀', undefined, '😀'],
  ['a text of the maximum stays', 'abc', 3, 'abc'],
  ['a longer text is cut', 'abcd', 3, 'abc'],
  ['a pair is never split', 'ab😀', 3, 'ab'],
  ['a pair that fits stays', 'ab😀c', 4, 'ab😀'],
  ['a lone high surrogate at the cut is replaced', 'ab\uD83Dcd', 3, 'ab\uFFFD'],
  ['nothing fits in 0', '😀', 0, ''],
]

for (const [name, text, maxLength, expected] of rows) {
  test(name, () => assert.equal(storableText(text, maxLength), expected))
}
