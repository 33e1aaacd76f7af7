// The built command with a stack's configuration, as an operator on the broker's host runs it.
import { execFile } from 'node:child_process'
import { hallpassProgram, type Stack } from './stack.js'

export interface CommandEnd {
  readonly code: number
  readonly output: string
}

/** `hallpass <args> --config <the stack's>`; never throws for its exit code. */
export function runHallpassOnHost({ configFile }: Pick<Stack, 'configFile'>, ...args: string[]): Promise<CommandEnd> {
  return new Promise((resolve) => {
    const argv = [hallpassProgram, ...args, '--config', configFile]
    execFile(process.execPath, argv, { timeout: 90_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), output: stdout + stderr })
    })
  })
}
