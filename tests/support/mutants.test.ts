import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { mutants } from '../../scripts/mutants/list.ts'

test('the text that a mutant replaces stands in its file, once', async () => {
  for (const { name, file, search } of mutants) {
    const text = await readFile(file, 'utf8')
    assert.equal(text.split(search).length - 1, 1, `${name}: ${file}`)
  }
})
