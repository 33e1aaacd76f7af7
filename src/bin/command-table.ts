// What the two halves of the command table are made of.
import type { Command } from 'commander'
import type { ExecIo } from '../cli/exec.js'

/** What a command does: `operands` are its arguments in order, `options` its options as commander names them. */
export type RunCommand<Options> = (io: ExecIo, operands: string[], options: Options) => Promise<number>

/** Makes one command of the table. */
export type AddCommand = <Options extends object>(
  parent: Command,
  usage: string,
  about: { summary: string; examples: readonly string[] },
  runCommand: RunCommand<Options>,
) => Command
