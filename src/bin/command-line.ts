// From words to a command and its exit code. Commands are handed everything they touch; nothing here decides anything.
import { Command, CommanderError, Option } from 'commander'
import type { SignalSource } from '../cli/child-process.js'
import type { Terminal } from '../cli/countdown.js'
import { exitCodeOf, exitCodes, UsageError } from '../cli/exit-codes.js'
import { createOutput, type OutputFormat, printError } from '../cli/output.js'
import type { Environment } from '../client/index.js'
import { version } from '../version.js'
import { addClientCommands } from './client-commands.js'
import type { AddCommand, RunCommand } from './command-table.js'
import { addProgramCommands } from './program-commands.js'

/** The process that a command line runs in, so that a test can be one. */
export interface HostProcess {
  readonly environment: Environment
  stdout(text: string): void
  stderr(text: string): void
  readStdin(): Promise<string>
  readonly signals: SignalSource
  readonly onTerminal: boolean
  /** What stderr is, where it is one: lines may be drawn over there. */
  readonly terminal?: Terminal | undefined
}

/** Runs one command line (without `node` and the script) and gives its exit code. Never throws. */
export async function runCommandLine(argv: readonly string[], host: HostProcess): Promise<number> {
  let exitCode: number = exitCodes.done
  const root = createRoot(host)
  const addCommand: AddCommand = (parent, usage, { summary, examples }, runCommand) => {
    const command = parent.command(usage).description(summary)
    command.addHelpText('after', `\nExamples:\n${examples.map((line) => `  $ ${line}`).join('\n')}`)
    command.addOption(
      new Option('--output <format>', 'how results are printed').choices(['text', 'json']).default('text'),
    )
    command.action(async () => {
      exitCode = await run(runCommand, command, host)
    })
    return command
  }
  addClientCommands(root, addCommand)
  addProgramCommands(root, addCommand)
  try {
    await root.parseAsync(withoutHelp(root, argv), { from: 'user' })
    return exitCode
  } catch (error) {
    // Asked for, help and version are a success; everything else that commander throws is about how it was called.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage
    throw error
  }
}

async function run<Options extends object>(
  runCommand: RunCommand<Options>,
  command: Command,
  host: HostProcess,
): Promise<number> {
  const options = command.opts<Options & { output: OutputFormat }>()
  const output = createOutput(options.output, host)
  try {
    refuseEmpty(command, options)
    const { environment, readStdin, signals, onTerminal, terminal } = host
    return await runCommand({ environment, output, readStdin, signals, onTerminal, terminal }, command.args, options)
  } catch (error) {
    printError(error, output)
    return exitCodeOf(error)
  }
}

/**
 * `help policy check` → `policy check --help`: commander's own takes one word. What names no command is left to commander, which
 * says so; nothing else can come of it, since a command without sub-commands is only ever asked for its help.
 */
function withoutHelp(root: Command, argv: readonly string[]): string[] {
  if (argv[0] !== 'help') return [...argv]
  const found: string[] = []
  let at = root
  for (const word of argv.slice(1)) {
    if (at.commands.length === 0) break
    found.push(word)
    const next = at.commands.find((one) => one.name() === word)
    if (next === undefined) return found
    at = next
  }
  return [...found, '--help']
}

/** In a script an empty value is a variable that nobody set: as a filter it would find nothing, as an id it would name no call. */
function refuseEmpty(command: Command, options: object): void {
  const empty = Object.entries(options).find(([, value]) => [value].flat().includes(''))
  if (empty) {
    const flags = command.options.find((one) => one.attributeName() === empty[0])?.long ?? empty[0]
    throw new UsageError(`${flags}: expected a value; it is empty`)
  }
  // What exec runs is handed on as it is.
  if (command.name() !== 'exec' && command.args.includes('')) {
    throw new UsageError(`${command.name()}: expected a value; an argument is empty`)
  }
}

function createRoot(host: HostProcess): Command {
  return new Command('hallpass')
    .description('Just-in-time credentials for software that acts on its own')
    .version(version)
    .enablePositionalOptions()
    .exitOverride()
    .showHelpAfterError('(--help shows what there is)')
    .configureOutput({ writeOut: (text) => host.stdout(text), writeErr: (text) => host.stderr(text) })
    .addHelpText('after', environmentHelp)
}

const environmentHelp = `
Environment, for the commands that talk to a broker:
  HALLPASS_URL         the broker's address
  HALLPASS_CA          PEM file of the roots to trust for it
  HALLPASS_TOKEN       who you are: a token of an issuer that the broker trusts
  HALLPASS_TOKEN_FILE  the same in a file, read anew for each call
  HALLPASS_CERT        PEM files of an X.509-SVID and its key, instead of a token or
  HALLPASS_KEY         beside one; read anew for each call
                       (without any: hallpass login, GitHub Actions, GitLab's HALLPASS_ID_TOKEN, Kubernetes,
                       the SPIFFE Workload API at SPIFFE_ENDPOINT_SOCKET)
  HALLPASS_DPOP        1: exec and request prove a key of their own with each call

Exit codes:
  0 done   2 usage   3 not authenticated   4 denied   5 approval wanting
  6 broker or provider unavailable   7 a revocation failed   1 anything else
  exec: its command's own, or 125 for its own failures`
