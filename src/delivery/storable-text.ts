/**
 * Makes a text storable in a Postgres `text` column: NUL and lone surrogates become U+FFFD. Longer texts are
 * cut to `maxLength` UTF-16 units, never inside a surrogate pair.
 */
export function storableText(text: string, maxLength = Infinity): string {
  return cut(text, maxLength).replaceAll('\0', '\uFFFD').toWellFormed()
}

function cut(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text
  const splitsPair =
    /[\uD800-\uDBFF]/.test(text[maxLength - 1] ?? '') && /[\uDC00-\uDFFF]/.test(text[maxLength] ?? '')
  return text.slice(0, splitsPair ? maxLength - 1 : maxLength)
}

/** Why Postgres could not store this text, in words that continue a field's name; undefined where it can. */
export function whyUnstorable(text: string): string | undefined {
  if (text.includes('\0')) return 'must not contain the character NUL (\\u0000)'
  if (!text.isWellFormed()) return 'must not contain half a surrogate pair (\\ud800 to \\udfff alone)'
  return undefined
}
