// Operators' orders: against a running broker, or with --local on its host when single sign-on is down.
import { type Command, Option } from 'commander'
import type { LockAddOptions } from '../cli/lock.js'
import type { RevokeOptions } from '../cli/revoke.js'
import type { AddCommand } from './command-table.js'

interface LocalOptions {
  local?: boolean
  config: string
}

export function addOperatorCommands(root: Command, add: AddCommand): void {
  addRevoke(root, add)
  addLock(root, add)
}

function addRevoke(root: Command, add: AddCommand): void {
  const revoke = add(
    root,
    'revoke <kind> [ids...]',
    {
      summary:
        'end every lease of a lease, task, principal, account, issuer, action, resource, provider, all, or where k=v... (operators)',
      examples: [
        'hallpass revoke account github:1296269 --reason "runner compromised" --dry-run',
        'hallpass revoke resource database:orders --reason "incident 4711" --lock 4h --wait',
        'hallpass revoke where issuer=ci issued_after=2031-05-06T07:00:00Z attributes.ref=refs/heads/main --reason "bad merge"',
        'hallpass revoke all --reason "single sign-on is down" --local --config /etc/hallpass/hallpass.yaml',
      ],
    },
    async (io, [kind = '', ...ids], options: RevokeOptions & LocalOptions) => {
      if (options.local !== true) return await (await import('../cli/revoke.js')).runRevoke(kind, ids, options, io)
      return await (await import('../admin/local-orders.js')).runLocalRevoke(kind, ids, options, io)
    },
  )
    .requiredOption('--reason <text>', 'why, for the audit')
    .option('--lock <duration>', 'lock the target that long first: nothing new is issued for it')
    .option('--dry-run', 'only say how many live leases it would reach')
    .option('--wait', 'until every lease has a receipt')
  addLocal(revoke)
}

function addLock(root: Command, add: AddCommand): void {
  const lock = root.command('lock').description('locks: what gets nothing until they are removed or over (operators)')
  const locks = () => import('../cli/lock.js')
  const set = add(
    lock,
    'add <kind> [ids...]',
    {
      summary: 'lock a target and revoke what it has',
      examples: [
        'hallpass lock add account github:1296269 --reason "runner compromised, see incident 4711" --for 4h',
        'hallpass lock add all --reason "broker under attack" --local --config /etc/hallpass/hallpass.yaml',
      ],
    },
    async (io, [kind = '', ...ids], options: LockAddOptions & LocalOptions) => {
      if (options.local !== true) return await (await locks()).runLockAdd(kind, ids, options, io)
      return await (await import('../admin/local-orders.js')).runLocalLock(kind, ids, options, io)
    },
  )
    .requiredOption('--reason <text>', 'why: for the audit, and told to every caller that is stopped')
    .option('--for <duration>', 'how long, such as 4h (default: until it is removed)')
    .option('--until <time>', 'until when, RFC 3339')
  addLocal(set)
  add(
    lock,
    'list',
    { summary: 'list the locks that stand', examples: ['hallpass lock list'] },
    async (io, _, options: { limit?: string; cursor?: string }) => (await locks()).runLockList(options, io),
  )
    .option('--limit <n>', 'at most this many, 1 to 1000')
    .option('--cursor <cursor>', 'go on from here')
  add(
    lock,
    'remove <id>',
    {
      summary: 'remove a lock; another one on the same target stands',
      examples: ['hallpass lock remove lock_01hzy3v5q8k2m4n6p8r0s2t4v6'],
    },
    async (io, [id = '']) => (await locks()).runLockRemove(id, io),
  )
}

function addLocal(command: Command): void {
  command
    .option('--local', 'on the broker host, without a token: the configuration, Redis and the audit alone')
    .addOption(
      new Option('--config <file>', 'the configuration, for --local').env('HALLPASS_CONFIG').default('./hallpass.yaml'),
    )
}
