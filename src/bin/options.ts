// Options that several commands take, declared once so that they mean the same everywhere.
import { type Command, Option } from 'commander'

/** For an option that may be given several times: each value joins those before it. */
export const collect = (value: string, earlier: string[] = []) => [...earlier, value]

export const configOption = (description = 'the configuration') =>
  new Option('--config <file>', description).env('HALLPASS_CONFIG')

/** `--config`, by default the one in this folder. */
export const withConfig = (command: Command, description?: string) =>
  command.addOption(configOption(description).default('./hallpass.yaml'))
