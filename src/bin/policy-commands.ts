// `hallpass policy …` beyond check and schema: commands on files.
import { type Command, Option } from 'commander'
import { UsageError } from '../cli/exit-codes.js'
import type { AddCommand, Story } from './command-table.js'

interface TestOptions {
  config: string
  watch?: boolean
  coverageMin?: string
}

const withConfig = (command: Command) =>
  command.addOption(
    new Option('--config <file>', 'the configuration').env('HALLPASS_CONFIG').default('./hallpass.yaml'),
  )

export function addPolicyTestCommands(policy: Command, add: AddCommand): void {
  const test = add(
    policy,
    'test [path]',
    {
      summary: 'run the *.tests.yaml beside the policies: 0 all as expected, 1 not, 2 a test cannot be read',
      examples: [
        'hallpass policy test --config hallpass.yaml',
        'hallpass policy test policies/deploy.tests.yaml --watch',
        'hallpass policy test --coverage-min 100 --output json',
      ],
    },
    runTest,
  )
  withConfig(test)
    .option('--watch', 'run again on each change, until Ctrl-C')
    .option('--coverage-min <percent>', 'fail when fewer of the policies are determined by a case')
}

/** Against a running broker: changed rules that wait. */
export function addPolicyChangeCommands(policy: Command, add: AddCommand): void {
  const changes = () => import('../cli/policy-change.js')
  add(
    policy,
    'pending',
    {
      summary: 'what changed rules have done to live leases, and what of it waits for a word (operators)',
      examples: ['hallpass policy pending'],
    },
    async (io) => await (await changes()).runPolicyPending(io),
  )
  add(
    policy,
    'apply <hash>',
    {
      summary: 'let changed rules that wait end the live leases that they no longer permit (operators)',
      examples: ['hallpass policy apply 3f9a1c2b7d40 --reason "writes are frozen, incident 4711"'],
    },
    async (io, [hash = ''], options: { reason: string }) => await (await changes()).runPolicyApply(hash, options, io),
  ).requiredOption('--reason <text>', 'why, for the audit')
}

const runTest: Story<TestOptions> = async (io, [path], { config, watch, coverageMin }) => {
  const { runPolicyTest, watchPolicyTest } = await import('../admin/policy-test.js')
  const command = { config, env: io.environment, path, coverageMin: percentOf(coverageMin) }
  try {
    if (watch !== true) return await runPolicyTest(command, io.output)
  } catch (error) {
    throw await asUsage(error)
  }
  const ending = new AbortController()
  const end = () => ending.abort()
  const signals = ['SIGINT', 'SIGTERM'] as const
  for (const signal of signals) io.signals.on(signal, end)
  try {
    return await watchPolicyTest(command, io.output, ending.signal)
  } finally {
    for (const signal of signals) io.signals.off(signal, end)
  }
}

/** What cannot be read is how it was called: 1 is for a case that fails. */
async function asUsage(error: unknown): Promise<unknown> {
  const { ConfigError } = await import('../config/problems.js')
  const { PolicySetError } = await import('../policy/policy-set.js')
  const isUnreadable = error instanceof ConfigError || error instanceof PolicySetError
  return isUnreadable ? new UsageError(error.message) : error
}

function percentOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^[0-9]{1,3}$/.test(text) && Number(text) <= 100) return Number(text)
  throw new UsageError(`--coverage-min: expected a whole number from 0 to 100, not "${text}"`)
}
