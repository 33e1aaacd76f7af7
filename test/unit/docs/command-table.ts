// The commands as the program itself lists them: `task open` → its options.
import { type HostProcess, runCommandLine } from '../../../src/bin/command-line.js'

export async function readCommandTable(): Promise<Map<string, ReadonlySet<string>>> {
  const commands = new Map<string, ReadonlySet<string>>()
  for (const name of await listCommands([])) {
    const below = await listCommands([name])
    // A command that only has others below it says how to call it without options of its own story.
    if (below.length === 0 || name === 'dev') commands.set(name, optionsIn(await help([name])))
    for (const sub of below) commands.set(`${name} ${sub}`, optionsIn(await help([name, sub])))
  }
  return commands
}

async function listCommands(path: readonly string[]): Promise<string[]> {
  const [, section = ''] = (await help(path)).split('\nCommands:\n')
  const lines = section.split('\n\n')[0]?.split('\n') ?? []
  return lines.flatMap((line) => /^ {2}([a-z]+)(?: |$)/.exec(line)?.[1] ?? []).filter((name) => name !== 'help')
}

function optionsIn(text: string): ReadonlySet<string> {
  return new Set([...text.matchAll(/^ {2}(?:-[a-zA-Z], )?(--[a-z-]+)/gm)].map((match) => match[1] ?? ''))
}

async function help(path: readonly string[]): Promise<string> {
  let text = ''
  const host: HostProcess = {
    environment: {},
    stdout: (part) => {
      text += part
    },
    stderr: () => undefined,
    readStdin: async () => '',
    signals: { on: () => undefined, off: () => undefined },
    onTerminal: false,
  }
  const exitCode = await runCommandLine([...path, '--help'], host)
  if (exitCode !== 0) throw new Error(`hallpass ${path.join(' ')} --help ended with ${exitCode}`)
  return text
}
