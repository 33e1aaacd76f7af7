// Runs one command line as the program does, with this test as the process around it.
import { EventEmitter } from 'node:events'
import { runCommandLine } from '../../src/bin/command-line.js'
import type { Terminal } from '../../src/cli/countdown.js'

export interface Ran {
  exitCode: number
  stdout: string
  stderr: string
}

export async function runHallpass(
  argv: readonly string[],
  around: {
    environment?: Record<string, string>
    stdin?: string
    signals?: EventEmitter
    onTerminal?: boolean
    terminal?: Terminal
    /** Filled while it runs, for a command that goes on until somebody ends it. */
    written?: { stdout: string; stderr: string }
  } = {},
): Promise<Ran> {
  const written = around.written ?? { stdout: '', stderr: '' }
  const exitCode = await runCommandLine(argv, {
    environment: around.environment ?? {},
    stdout: (text) => {
      written.stdout += text
    },
    stderr: (text) => {
      written.stderr += text
    },
    readStdin: async () => around.stdin ?? '',
    signals: around.signals ?? new EventEmitter(),
    onTerminal: around.onTerminal ?? false,
    terminal: around.terminal,
  })
  return { exitCode, ...written }
}
