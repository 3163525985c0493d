// C0 and C1 controls, line and paragraph separators, and what turns the direction of text or has no width.
const unsafe = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g

const short: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/**
 * Text of somebody else's, such as a receiver's answer, for a terminal: control characters, which could move the cursor,
 * colour what follows or hide it, are written out as `\x1b` or `\u202e`.
 */
export function visible(text: string): string {
  return text.toWellFormed().replaceAll(unsafe, (character) => {
    const code = character.charCodeAt(0)
    return short[character] ?? (code < 256 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`)
  })
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0')
}
