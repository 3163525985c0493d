import type { Output } from './output.ts'

export interface Option {
  type: 'string' | 'boolean'
  /** What it means, for the help. */
  help: string
  /** What its value is called there. */
  value?: string
  short?: string
}

export type Options = Readonly<Record<string, Option>>

export type Values<Given extends Options> = {
  [Name in keyof Given]: (Given[Name]['type'] extends 'boolean' ? boolean : string) | undefined
}

export interface Argument {
  name: string
  optional?: true
}

/** What one command is: its help is made of this, and nothing else describes it. */
export interface Command<Given extends Options = Options> {
  /** What it does, its answer and its exit codes; whole paragraphs. */
  about: string
  arguments?: readonly Argument[]
  options: Given
  examples?: readonly string[]
  /** @returns the exit code: 0, or 1 where it found something wrong or was refused */
  run(given: { values: Values<Given>; args: string[]; out: Output }): Promise<number>
}

/** Keeps the types of its options. */
export function command<const Given extends Options>(definition: Command<Given>): Command {
  return definition
}

/** The command line cannot be carried out as it stands: exit 2. */
export class UsageError extends Error {
  override name = 'UsageError'
}
