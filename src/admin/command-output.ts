/** What a command on files prints to; the command table hands it in. */
export interface CommandOutput {
  /** The result: `value` where JSON was asked for, else `text`. */
  print(value: unknown, text: string): void
  /** One line for a person, on stderr. */
  note(line: string): void
}
