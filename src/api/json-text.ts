/** JSON that Postgres has printed: it goes out as it is, whatever its depth, its numbers and the order of its keys. */
export class RawJson {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

export function rawJson(text: string | null): RawJson | null {
  return text === null ? null : new RawJson(text)
}

/** JSON.stringify for answers, which may hold RawJson. */
export function jsonText(value: unknown): string {
  if (value instanceof RawJson) return value.text
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(([key, member]) => `${JSON.stringify(key)}:${jsonText(member)}`)
    return `{${members.join(',')}}`
  }
  return JSON.stringify(value ?? null)
}
