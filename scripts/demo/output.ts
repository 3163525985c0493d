export function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

export type Row = Record<string, string | number | null>

/** Prints rows as psql does. */
export function table(rows: Row[]): void {
  const first = rows[0]
  if (first === undefined) return say('  (0 rows)')
  const names = Object.keys(first)
  const cells = rows.map((row) => names.map((name) => String(row[name] ?? '')))
  const widths = names.map((name, i) => Math.max(name.length, ...cells.map((line) => line[i]!.length)))
  const print = (line: string[]) =>
    say(
      `  ${line
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join(' | ')
        .trimEnd()}`,
    )
  print(names)
  say(`  ${widths.map((width) => '-'.repeat(width)).join('-+-')}`)
  for (const line of cells) print(line)
}
