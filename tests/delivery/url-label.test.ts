import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import { urlLabel } from '../../src/delivery/url-label.ts'

const rows: [url: string, origin: string][] = [
  ['https://hooks.example.com/a/secret?token=secret#secret', 'https://hooks.example.com'],
  ['http://user:secret@example.com:8080/secret', 'http://example.com:8080'],
  ['http://[::1]:80/secret', 'http://[::1]'],
  ['not a url: secret', 'invalid'],
  ['mailto:secret@example.com', 'invalid'],
  ['', 'invalid'],
]

for (const [url, origin] of rows) {
  test(`${url || "''"} is logged as ${origin} and a hash`, () => {
    const label = urlLabel(url)
    assert.equal(label.origin, origin)
    assert.equal(label.hash, createHash('sha256').update(url).digest('hex').slice(0, 12))
    assert.ok(!JSON.stringify(label).includes('secret'))
  })
}
