import { styleText } from 'node:util'
import { visible } from './visible.ts'

type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'green'

/** A cell: null and undefined are shown as a dash. */
export type Cell = string | number | null | undefined

/**
 * What a command prints. Whatever comes from the service or from receivers goes through `visible`. Colours are for a
 * terminal only, and for none where NO_COLOR is set.
 */
export class Output {
  readonly #out: NodeJS.WriteStream
  readonly #err: NodeJS.WriteStream
  readonly #colours: boolean

  constructor(out: NodeJS.WriteStream = process.stdout, err: NodeJS.WriteStream = process.stderr) {
    this.#out = out
    this.#err = err
    this.#colours = out.isTTY && !process.env['NO_COLOR']
  }

  get isTerminal(): boolean {
    return this.#out.isTTY
  }

  /** One line, whatever is in it. */
  line(text = ''): void {
    this.#out.write(`${visible(text)}\n`)
  }

  /** Lines of this service's own. */
  text(text: string): void {
    for (const line of text.split('\n')) this.line(line)
  }

  heading(text: string): void {
    this.#out.write(`\n${this.#style('bold', visible(text))}\n`)
  }

  /** For what stands in a line of its own and should be seen first. */
  styled(style: Style, text: string): void {
    this.#out.write(`${this.#style(style, visible(text))}\n`)
  }

  json(value: unknown): void {
    this.#out.write(`${JSON.stringify(value, null, 2)}\n`)
  }

  /** One value a line. */
  jsonLine(value: unknown): void {
    this.#out.write(`${JSON.stringify(value)}\n`)
  }

  /** Errors, and what is no part of the answer: `--json` stays readable for programs. */
  note(text: string): void {
    this.#err.write(`${text.split('\n').map(visible).join('\n')}\n`)
  }

  /** Names in one column, values in the next. Rows without a value are left out. */
  fields(rows: readonly (readonly [string, Cell])[], indent = ''): void {
    const shown = rows.filter(([, value]) => value !== null && value !== undefined && value !== '')
    const width = Math.max(0, ...shown.map(([name]) => name.length))
    for (const [name, value] of shown) {
      this.#out.write(`${indent}${this.#style('dim', name.padEnd(width))}  ${visible(String(value))}\n`)
    }
  }

  /** Aligned columns under their names; numbers to the right. */
  table(columns: readonly string[], rows: readonly (readonly Cell[])[], indent = ''): void {
    const cells = rows.map((row) =>
      row.map((cell) => (cell === null || cell === undefined ? '-' : visible(String(cell)))),
    )
    const widths = columns.map((name, n) => Math.max(name.length, ...cells.map((row) => [...row[n]!].length)))
    const numeric = columns.map((_, n) => rows.length > 0 && rows.every((row) => typeof row[n] !== 'string'))
    const aligned = (row: readonly string[]) =>
      row
        .map((cell, n) => {
          const padding = ' '.repeat(widths[n]! - [...cell].length)
          return numeric[n] ? padding + cell : cell + padding
        })
        .join('  ')
        .trimEnd()
    this.#out.write(`${indent}${this.#style('dim', aligned(columns))}\n`)
    for (const row of cells) this.#out.write(`${indent}${aligned(row)}\n`)
  }

  #style(style: Style, text: string): string {
    return this.#colours ? styleText(style, text, { validateStream: false }) : text
  }
}
