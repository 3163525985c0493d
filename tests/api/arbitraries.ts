import fc from 'fast-check'

/** Texts that have gone wrong somewhere. */
export const nasty = fc.oneof(
  ...[
    '\0',
    'a\0b',
    '\ud800',
    '\udc00x',
    '\u0085',
    '\uFEFF',
    '\u202e',
    '\\u0000',
    "'; drop table tasks; --",
  ].map(fc.constant),
  ...[
    '__proto__',
    'constructor',
    '',
    ' ',
    '.',
    '..',
    '%00',
    '%',
    'null',
    'running',
    'completed',
    'failed',
  ].map(fc.constant),
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
  fc.integer({ min: 1, max: 70_000 }).map((length) => 'x'.repeat(length)),
)
export const urlish = fc.oneof(
  fc.webUrl({ withFragments: true, withQueryParameters: true }),
  nasty.map((text) => `https://example.com/${text}`),
  nasty.map((text) => `https://${text}/`),
  nasty.map((text) => `${text}://example.com`),
  fc.constantFrom(
    'javascript:alert(1)',
    'http://user:pass@host/',
    'http://[::1',
    'https://example.com:99999/',
  ),
)
const deep = fc.integer({ min: 90, max: 300 }).map((depth) => {
  let value: unknown = 1
  for (let i = 0; i < depth; i += 1) value = i % 2 === 0 ? [value] : { a: value }
  return value
})
/** Any JSON. */
export const anything = fc.oneof(
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }),
  nasty,
  urlish,
  deep,
  fc.jsonValue(),
  fc.constantFrom(null, true, -1, 0, 1.5, 2 ** 31, 2 ** 53, 1e308, -1e308, 5e-324, [], {}, [null]),
  fc.dictionary(nasty, fc.jsonValue({ stringUnit: 'binary' })),
)
