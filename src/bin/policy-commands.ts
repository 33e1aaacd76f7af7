// `hallpass policy …` beyond check and schema: commands on files.
import type { Command } from 'commander'
import type { ExplainOptions } from '../admin/policy-explain.js'
import { UsageError } from '../cli/exit-codes.js'
import { asUsage } from './as-usage.js'
import type { AddCommand, RunCommand } from './command-table.js'
import { collect, withConfig } from './options.js'

interface TestOptions {
  config: string
  watch?: boolean
  coverageMin?: string
}

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
  addExplain(policy, add)
}

function addExplain(policy: Command, add: AddCommand): void {
  const explain = add(
    policy,
    'explain [decision]',
    {
      summary:
        'say why it is decided so, or why a recorded decision was: policies, conditions, values, offers, lifetime',
      examples: [
        'hallpass policy explain --principal prod:spiffe://prod.acme.example/ns/ci/sa/deployer --action deploy.run --resource repo:acme/web',
        'hallpass policy explain --principal ci:x --attribute repository=acme/web --action settings.read --resource repo:acme/web --ttl 1h',
        'hallpass policy explain dec_01hzy3v5q8k2m4n6p8r0s2t4v6 --audit /var/lib/hallpass/audit',
      ],
    },
    async (io, [decision], { config, audit, ...asked }: ExplainOptions & { config: string; audit?: string }) => {
      const { runPolicyExplain } = await import('../admin/policy-explain.js')
      return await runPolicyExplain({ config, env: io.environment, decision, audit, asked }, io.output)
    },
  )
  withConfig(explain)
    .option('--audit <directory>', "where the decision's record is (default: audit.directory of the configuration)")
    .option('--principal <issuer:subject>', 'who asks')
    .option('--attribute <k=v>', 'an attribute of the caller; each member of a set as one of its own', collect)
    .option('--group <group>', "a group of the caller's, in place of those that the configuration gives", collect)
    .option('--action <action>', 'what is asked')
    .option('--resource <resource>', 'on what')
    .option('--ttl <duration>', 'for how long (default: the grant says)')
    .option('--context <k=v>', 'what is declared about the change; k:=1 and k:=true for what is not text', collect)
    .option('--held <action=resource>', 'a lease that the session holds', collect)
    .option('--granted <action=resource>', 'a lease that the session was granted before', collect)
    .option('--binding <binding>', 'none, dpop or mtls')
    .option('--depth <n>', "the task's depth; 0 is a root")
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

const runTest: RunCommand<TestOptions> = async (io, [path], { config, watch, coverageMin }) => {
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

function percentOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^[0-9]{1,3}$/.test(text) && Number(text) <= 100) return Number(text)
  throw new UsageError(`--coverage-min: expected a whole number from 0 to 100, not "${text}"`)
}
