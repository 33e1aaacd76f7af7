// What the demo prints. Nothing is claimed that was not checked a moment before.

export interface Narrator {
  title(text: string): void
  chapter(text: string, ...about: string[]): void
  /** A line of a table: name and text. */
  row(name: string, text: string): void
  note(text: string): void
  /** Runs the check and prints what it saw; a check that throws ends the story. */
  claim(text: string, check: () => Promise<string>): Promise<void>
  claims(): number
}

const colours = { bold: '1', dim: '2', red: '31', green: '32' } as const

/** `colourful`: with ANSI colours, for a terminal. */
export function createNarrator(write: (line: string) => void, colourful: boolean): Narrator {
  const paint = (colour: keyof typeof colours, text: string) =>
    colourful ? `\u001b[${colours[colour]}m${text}\u001b[0m` : text
  let chapters = 0
  let claims = 0
  const line = (mark: string, text: string, seen: string) =>
    write(`   ${mark} ${seen === '' ? text : text.padEnd(58)} ${paint('dim', seen)}`.trimEnd())
  return {
    title: (text) => write(`\n${paint('bold', text)}\n`),
    chapter(text, ...about) {
      chapters += 1
      write(`\n${paint('bold', `${chapters}. ${text}`)}`)
      for (const one of about) write(`   ${paint('dim', one)}`)
    },
    row: (name, text) => write(`   ${name.padEnd(12)} ${text}`),
    note: (text) => write(text === '' ? '' : `   ${text}`),
    async claim(text, check) {
      try {
        const seen = await check()
        claims += 1
        line(paint('green', '✓'), text, seen)
      } catch (error) {
        line(paint('red', '✗'), text, '')
        throw new Error(`this did not hold: ${text}\n${error instanceof Error ? error.message : String(error)}`)
      }
    },
    claims: () => claims,
  }
}
