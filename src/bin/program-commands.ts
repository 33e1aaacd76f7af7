// The programs, and the commands on files or on the broker's own host.
import type { Command } from 'commander'
import type { Environment } from '../client/index.js'
import { addAuditReading } from './audit-commands.js'
import type { AddCommand } from './command-table.js'
import { collect, configOption, withConfig } from './options.js'
import { addPolicyChangeCommands, addPolicyTestCommands } from './policy-commands.js'
import { addReplayCommand, addSimulateCommand } from './simulate-commands.js'
import { addTokenCommands } from './token-commands.js'

/** What every command on this host takes. */
interface HostOptions {
  config: string
}

const inConfig = ({ config }: HostOptions, { environment }: { environment: Environment }) => ({
  config,
  env: environment,
})

export function addProgramCommands(root: Command, add: AddCommand): void {
  addPrograms(root, add)
  addKeys(root, add)
  addPolicy(root, add)
  addAudit(root, add)
  addHostCommands(root, add)
  addRecover(root, add)
  addTokenCommands(root, add)
}

function addPrograms(root: Command, add: AddCommand): void {
  const programs = () => import('./programs.js')
  withConfig(
    add(
      root,
      'serve',
      { summary: 'run the API', examples: ['hallpass serve --config /etc/hallpass/hallpass.yaml'] },
      async (_, __, { config }: HostOptions) => (await programs()).runServe(config),
    ),
  )
  withConfig(
    add(
      root,
      'worker',
      { summary: 'run revocation and the sweeper', examples: ['hallpass worker --config /etc/hallpass/hallpass.yaml'] },
      async (_, __, { config }: HostOptions) => (await programs()).runWorker(config),
    ),
  )
  const dev = add(
    root,
    'dev',
    {
      summary: 'run everything in one process with a development issuer, for a laptop',
      examples: ['hallpass dev', 'HALLPASS_TOKEN="$(hallpass dev token --claim team=payments)" hallpass task list'],
    },
    async (_, __, { config }: Partial<HostOptions>) => (await programs()).runDev(config),
  )
  dev.addOption(configOption())
  add(
    dev,
    'token',
    {
      summary: 'print a token of the development issuer',
      examples: ['hallpass dev token --claim sub=ci-agent', 'hallpass dev token --operator'],
    },
    async (io, _, { claim = [], operator = false }: { claim?: string[]; operator?: boolean }) =>
      (await programs()).devToken({ claims: claim, operator }, io.output),
  )
    .option('--claim <k=v>', 'a claim of the token', collect)
    .option('--operator', "an operator's token")
}

function addKeys(root: Command, add: AddCommand): void {
  const keys = root.command('keys').description('signing keys, by purpose')
  withConfig(
    add(
      keys,
      'create',
      {
        summary: "make each purpose's missing keys and leave the others; needs no server",
        examples: ['hallpass keys create --config hallpass.yaml'],
      },
      async (io, _, { config }: HostOptions) => (await import('./host-commands.js')).runKeysCreate({ ...io, config }),
    ),
  )
  withConfig(
    add(
      keys,
      'rotate [purpose]',
      {
        summary: 'add the next key and retire the last, without a gap (without a purpose: of all)',
        examples: ['hallpass keys rotate grants'],
      },
      async (io, [purpose], { config }: HostOptions) =>
        (await import('./host-commands.js')).runKeysRotate(purpose, { ...io, config }),
    ),
  )
}

function addPolicy(root: Command, add: AddCommand): void {
  const policy = root.command('policy').description('policies, on files')
  withConfig(
    add(
      policy,
      'check',
      {
        summary: 'validate the policies against the configuration',
        examples: [
          'hallpass policy check --config hallpass.yaml',
          'hallpass policy check --against https://hallpass.acme.example',
        ],
      },
      async (io, _, options: HostOptions & { against?: string }) => {
        const { against } = options
        const command = inConfig(options, io)
        if (against === undefined) return await (await import('../admin/policy.js')).runPolicyCheck(command, io.output)
        return await (await import('../admin/check-against.js')).runPolicyCheckAgainst(command, against, io)
      },
    ),
  ).option(
    '--against <url>',
    'ask the running broker which live leases would end by these policies, and who gains or loses (operators)',
  )
  withConfig(
    add(
      policy,
      'schema',
      {
        summary: 'print the Cedar schema that the configuration makes',
        examples: ['hallpass policy schema > schema.cedarschema'],
      },
      async (io, _, options: HostOptions) =>
        (await import('../admin/policy.js')).runPolicySchema(inConfig(options, io), io.output),
    ),
  )
  addPolicyTestCommands(policy, add)
  addPolicyChangeCommands(policy, add)
  addSimulateCommand(policy, add)
}

function addAudit(root: Command, add: AddCommand): void {
  const audit = root.command('audit').description('the audit, on files')
  const verify = add(
    audit,
    'verify [directory]',
    {
      summary: 'find any changed, missing, inserted, swapped or cut record: 0 intact, 1 broken and where',
      examples: [
        'hallpass audit verify',
        'hallpass audit verify --against-ledger',
        'hallpass audit verify /mnt/archive/audit --public-keys audit-keys.json',
      ],
    },
    async (io, [directory], { config, ...how }: HostOptions & { publicKeys?: string; againstLedger?: boolean }) =>
      (await import('./host-commands.js')).runAuditVerify(directory, how, { ...io, config }),
  )
  withConfig(verify)
    .option('--public-keys <file>', "a JWKS with the audit's public keys")
    .option(
      '--against-ledger',
      'also hold the chains against how far the ledger knows them: shows a cut behind the last checkpoint',
    )
  addReplayCommand(audit, add)
  addAuditReading(audit, add)
}

function addHostCommands(root: Command, add: AddCommand): void {
  withConfig(
    add(
      root,
      'doctor',
      {
        summary: 'say what is wrong with each server, issuer and provider, and what to do',
        examples: ['hallpass doctor'],
      },
      async (io, _, options: HostOptions) =>
        (await import('../admin/doctor.js')).runDoctor(inConfig(options, io), io.output),
    ),
  )
  const provider = root.command('provider').description('providers')
  withConfig(
    add(
      provider,
      'setup <name>',
      { summary: 'print exactly what the far side of a provider needs', examples: ['hallpass provider setup vault'] },
      async (io, [name = ''], options: HostOptions) =>
        (await import('../admin/provider-setup.js')).runProviderSetup({ ...inConfig(options, io), name }, io.output),
    ),
  )
}

function addRecover(root: Command, add: AddCommand): void {
  const recover = add(
    root,
    'recover [directories...]',
    {
      summary: 'rebuild a lost ledger from audit folders; without an option it only shows what it found',
      examples: [
        'hallpass recover /mnt/gathered/audit-a /mnt/gathered/audit-b',
        'hallpass recover --apply /mnt/gathered/*',
        'hallpass recover --revoke-now --output json',
      ],
    },
    async (io, directories, options: HostOptions & { apply?: boolean; revokeNow?: boolean }) => {
      const { apply = false, revokeNow = false } = options
      const { runRecover } = await import('../admin/recover.js')
      return await runRecover({ ...inConfig(options, io), directories, apply, revokeNow }, io.output)
    },
  )
  withConfig(recover)
    .option('--apply', 'write it into the ledger, and let the brokers issue again')
    .option('--revoke-now', 'end all of it at the providers, without any Redis')
}
