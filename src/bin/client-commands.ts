// The commands against a running broker. Each is imported when it runs, so that none waits for another's packages.
import type { Command } from 'commander'
import type { ExecOptions } from '../cli/exec.js'
import type { LeaseListOptions } from '../cli/lease.js'
import type { RequestOptions } from '../cli/request.js'
import { addApprovalCommands } from './approval-commands.js'
import type { AddCommand } from './command-table.js'
import { addLoginCommands } from './login-commands.js'
import { addOperatorCommands } from './operator-commands.js'
import { collect } from './options.js'
import { addPlanCommands } from './plan-commands.js'
import { addPaging, addTaskCommands } from './task-commands.js'

export function addClientCommands(root: Command, add: AddCommand): void {
  addExec(root, add)
  addRequest(root, add)
  addTaskCommands(root, add)
  addLease(root, add)
  addOperatorCommands(root, add)
  addApprovalCommands(root, add)
  addLoginCommands(root, add)
  addPlanCommands(root, add)
}

function addCredentialOptions(command: Command): Command {
  return command
    .option('--action <action>', 'what is to be done, such as database.query')
    .option('--resource <resource>', 'to what, such as database:orders')
    .option('--ttl <duration>', 'for how long, such as 5m (default: the grant says)')
    .option('--context <k=v>', 'what is declared about the change; k:=1 and k:=true for what is not text', collect)
    .option('--purpose <text>', 'why, for the audit and for people; never for policy')
    .option('--task <id>', 'inside this task instead of a new one')
    .option('--dpop', 'prove a key of this process with each call (HALLPASS_DPOP=1 does the same)')
}

function addExec(root: Command, add: AddCommand): void {
  const command = add(
    root,
    'exec',
    {
      summary: 'run a command with credentials in its environment and take them back when it ends',
      examples: [
        'hallpass exec --action database.query --resource database:orders -- psql -c "select 1"',
        'hallpass exec --action object.read --resource bucket:reports --ttl 20m -- aws s3 ls s3://acme-reports',
        'hallpass exec --credential db:database.query=database:orders --credential repo.read=repo:acme/web \\\n' +
          '      --env PGPASSWORD=db.password -- ./report.sh',
        'hallpass exec --wait --action database.migrate --resource database:orders --context change_type=schema -- ./migrate.sh',
        'hallpass exec --task task_01hzy3v5q8k2m4n6p8r0s2t4v6 --approval appr_01hzy3v5q8k2m4n6p8r0s2t4v6 \\\n' +
          '      --action database.migrate --resource database:orders --context change_type=schema -- ./migrate.sh',
      ],
    },
    async (io, operands, options: ExecOptions) => (await import('../cli/exec.js')).runExec(options, operands, io),
  )
  addCredentialOptions(command)
    .option(
      '--credential <[name:]action=resource>',
      'a further credential; its name goes in front of its variables',
      collect,
    )
    .option('--env <NAME=field>', 'one more variable: a field of the credential (name.field for a named one)', collect)
    .option('--settle <duration>', 'how long to wait for the credentials to be confirmed dead', '10s')
    .option('--require-revoked', 'fail (125) unless every credential is confirmed dead')
    .option('--wait', 'on a terminal: wait for people who have to approve, instead of leaving the task open (125)')
    .option('--approval <id>', 'go on in --task with what was approved; it is completed at the end', collect)
    .option('--keep-identity', "leave our own token in the command's environment")
    .argument('<command...>', 'the command, after --')
    .passThroughOptions()
}

function addRequest(root: Command, add: AddCommand): void {
  const command = add(
    root,
    'request',
    {
      summary: 'ask for one credential and print it',
      examples: [
        'hallpass request --action database.query --resource database:orders',
        'eval "$(hallpass request --action object.read --resource bucket:reports --format env)"',
        'credential_process = hallpass request --action object.read --resource bucket:reports --ttl 15m --format aws',
        "git config credential.helper '!hallpass request --action repo.read --resource repo:acme/web --ttl 10m --format git'",
        'hallpass request --wait=10m --action database.migrate --resource database:orders --context change_type=schema',
      ],
    },
    async (io, [operation], options: RequestOptions) =>
      (await import('../cli/request.js')).runRequest(options, operation, io),
  )
  addCredentialOptions(command)
    .option(
      '--format <format>',
      'json, env (for a shell), aws (credential_process), git or kubernetes (ExecCredential)',
      'json',
    )
    .option('--dry-run', 'only say what would be decided; needs --task')
    .option('--wait [duration]', 'for people who have to approve, as --wait=10m (without: as long as they may answer)')
    .option('--approval <id>', 'repeat in --task what was approved')
    .argument('[operation]', 'what git adds: get, store or erase')
}

function addLease(root: Command, add: AddCommand): void {
  const lease = root.command('lease').description('leases: the records of issued credentials')
  const leases = () => import('../cli/lease.js')
  const list = add(
    lease,
    'list',
    { summary: 'list leases (operators)', examples: ['hallpass lease list --state live --resource database:orders'] },
    async (io, _, options: LeaseListOptions) => (await leases()).runLeaseList(options, io),
  )
  list.option('--state <state>', 'a state, or live')
  for (const name of [
    'principal',
    'account',
    'session',
    'issuer',
    'task',
    'action',
    'resource',
    'provider',
    'policy',
  ]) {
    list.option(`--${name} <${name}>`, `only this ${name}'s`)
  }
  list.option('--issued-after <time>', 'RFC 3339, UTC').option('--issued-before <time>', 'RFC 3339, UTC')
  addPaging(list)
  add(
    lease,
    'show <id>',
    { summary: 'show a lease', examples: ['hallpass lease show lease_01hzy3v5q8k2m4n6p8r0s2t4v6'] },
    async (io, [id = '']) => (await leases()).runLeaseShow(id, io),
  )
  add(
    lease,
    'find <source>',
    {
      summary:
        'whose is this? "-" reads a leaked secret from stdin, hashes it here and asks with the fingerprint alone',
      examples: ['hallpass lease find - < leaked.txt'],
    },
    async (io, [source = '']) => (await leases()).runLeaseFind(source, io),
  )
  add(
    lease,
    'release <id>',
    { summary: 'end a lease early', examples: ['hallpass lease release lease_01hzy3v5q8k2m4n6p8r0s2t4v6'] },
    async (io, [id = ''], options: { wait: string }) => (await leases()).runLeaseRelease(id, options, io),
  ).option('--wait <duration>', 'how long to wait for the receipt', '10s')
  addFailedLease(lease, add)
}

function addFailedLease(lease: Command, add: AddCommand): void {
  const leases = () => import('../cli/lease.js')
  add(
    lease,
    'retry <id>',
    {
      summary: 'have a failed revocation tried again (operators)',
      examples: ['hallpass lease list --state failed', 'hallpass lease retry lease_01hzy3v5q8k2m4n6p8r0s2t4v6'],
    },
    async (io, [id = ''], options: { reason?: string }) => (await leases()).runLeaseRetry(id, options, io),
  ).option('--reason <text>', 'why, for the audit')
  add(
    lease,
    'abandon <id>',
    {
      summary: 'close a failed revocation: nobody tries any more (operators)',
      examples: [
        'hallpass lease abandon lease_01hzy3v5q8k2m4n6p8r0s2t4v6 --reason "role deleted by hand, ticket 4711"',
      ],
    },
    async (io, [id = ''], options: { reason: string }) => (await leases()).runLeaseAbandon(id, options, io),
  ).requiredOption('--reason <text>', 'what was done about it, for the audit')
}
