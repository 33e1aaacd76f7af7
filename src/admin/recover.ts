// `hallpass recover [--apply] [--revoke-now] [DIR...]`: what the audit folders say was alive, written into a new ledger, or ended
// at once without any. Says what it found first; changes nothing unless told.
import { randomUUID } from 'node:crypto'
import type { AuditProjection } from '../broker/audit-projection.js'
import type { ProjectedLease } from '../broker/projected-lease.js'
import { type Replayed, replay } from '../broker/replay.js'
import { exitCodes } from '../cli/exit-codes.js'
import { formatTable, withoutControls } from '../cli/output.js'
import { loadConfig } from '../config/load.js'
import type { Settings } from '../config/schema.js'
import type { Environment } from '../config/yaml-source.js'
import { systemClock, toTimestamp } from '../core/clock.js'
import { connectFailFast, connectPatient, untilReady } from '../ledger/connection.js'
import { redisSettings } from '../ledger/redis-config.js'
import { openRedisLedger } from '../ledger/redis-ledger.js'
import { createRestoration } from '../ledger/restoration.js'
import type { CommandOutput } from './command-output.js'
import { type GatheredAudit, gatherAudit } from './gather.js'
import { withLocalAudit } from './local-audit.js'
import { revokeFromAudit } from './recover-revoke.js'

export interface RecoverCommand {
  readonly config: string
  readonly env?: Environment
  /** The gathered folders; without any the configuration's own. */
  readonly directories: readonly string[]
  readonly apply: boolean
  readonly revokeNow: boolean
}

/** Returns the exit code: 0 done (or shown), 6 Redis away, 7 a revocation failed. */
export async function runRecover(command: RecoverCommand, output: CommandOutput): Promise<number> {
  const { settings } = await loadConfig(command.config, command.env)
  const directories = command.directories.length > 0 ? command.directories : [settings.audit.directory]
  const audit = await gatherAudit(directories)
  for (const problem of audit.problems) output.note(`hallpass: the audit is broken: ${problem}`)
  const found = [...audit.projection.leases()].filter((lease) => lease.endedAs === null)
  if (!command.apply && !command.revokeNow) {
    output.print(summaryOf(audit, found), describe(audit, found))
    return exitCodes.done
  }
  // First what is alive is killed, then what came of it is part of what is rebuilt.
  const code = command.revokeNow ? await revokeFromAudit(settings, found, output) : exitCodes.done
  if (!command.apply) return code
  const again = command.revokeNow ? await gatherAudit([...new Set([...directories, settings.audit.directory])]) : audit
  return (await rebuild(settings, again, output)) || code
}

/** What `--apply` would do with it. */
function wouldBe({ lost, ending, failed, retried }: ProjectedLease, now: number): 'restore' | 'revoke' | 'keep_failed' {
  if (failed) return 'keep_failed'
  return retried || ending !== null || lost.issued === null || lost.expiresAt <= now ? 'revoke' : 'restore'
}

function summaryOf({ projection, walOf }: GatheredAudit, found: readonly ProjectedLease[]) {
  const now = systemClock.now()
  const tasks = [...projection.tasks()].filter((task) => task.outcome === null && task.expiresAt > now)
  return {
    chains: Object.fromEntries(walOf),
    records: projection.records,
    ledgers: [...projection.incarnations.keys()],
    open_tasks: tasks.map(({ id }) => id),
    locks: standing(projection, now).map(({ id, target, reason, expiresAt }) => ({
      id,
      target,
      reason,
      expires_at: expiresAt === null ? null : toTimestamp(expiresAt),
    })),
    leases: found.map((lease) => ({
      id: lease.lost.id,
      provider: lease.lost.record.provider,
      action: lease.lost.record.action,
      resource: lease.lost.record.resource,
      principal: lease.lost.record.principal,
      expires_at: toTimestamp(lease.lost.expiresAt),
      would: wouldBe(lease, now),
    })),
  }
}

const standing = (projection: AuditProjection, now: number) =>
  projection.locks().filter(({ expiresAt }) => expiresAt === null || expiresAt > now)

function describe(audit: GatheredAudit, found: readonly ProjectedLease[]): string {
  const { chains, records, open_tasks, locks, leases } = summaryOf(audit, found)
  const count = (what: string) => leases.filter(({ would }) => would === what).length
  const rows = leases.map((one) => [one.id, one.provider, one.action, one.resource, one.expires_at, one.would])
  return [
    `${records} records of ${Object.keys(chains).length} chains: ${leases.length} leases may be alive, ${open_tasks.length} tasks are open, ${locks.length} locks are set`,
    `--apply restores ${count('restore')} of them, revokes ${count('revoke')} at once (half-made, past their end, or ordered to end)${failedInWords(count('keep_failed'))}; --revoke-now revokes all, without Redis`,
    ...locks.map(({ id, target, reason }) => withoutControls(`${id} locks ${JSON.stringify(target)}: ${reason}`)),
    ...(rows.length === 0
      ? []
      : [formatTable([['LEASE', 'PROVIDER', 'ACTION', 'RESOURCE', 'EXPIRES', 'WOULD'], ...rows])]),
  ].join('\n')
}

const failedInWords = (failed: number) => (failed === 0 ? '' : ` and keeps ${failed} as failed, for retry or abandon`)

/** The ledger is named last: until then every broker refuses, and a crash before leaves it as if nothing was done. */
async function rebuild(
  settings: Settings,
  { projection, walOf }: GatheredAudit,
  output: CommandOutput,
): Promise<number> {
  const connection = redisSettings(settings.redis)
  const quiet = () => undefined
  const redis = connectFailFast(connection, quiet)
  const subscriber = connectPatient(connection, quiet)
  try {
    if (!(await untilReady(redis, 5000))) {
      output.note('hallpass: Redis cannot be reached at redis.url; --revoke-now needs none')
      return exitCodes.unavailable
    }
    const restoration = createRestoration(redis, connection.prefix)
    const incarnation = (await restoration.incarnation()) ?? randomUUID()
    const ledger = await openRedisLedger({ redis, subscriber, prefix: connection.prefix, continuity: incarnation })
    const memoryMs = settings.limits.account.memory * 1000
    const done = await replay({ ledger, restoration }, projection, { memoryMs, complete: true })
    await restoration.name(incarnation, [...projection.incarnations.keys()], walOf)
    await restoration.resume()
    await withLocalAudit(settings, output, (audit) =>
      audit.append({ event: 'ledger.recovered', ledger: incarnation, records: projection.records, ...done }),
    )
    output.print({ ledger: incarnation, ...done }, inWords(done))
    return exitCodes.done
  } finally {
    redis.disconnect()
    subscriber.disconnect()
  }
}

const inWords = ({ leases, tasks, ended, granted, locks, approvals }: Replayed) =>
  `restored ${leases} leases and ${tasks} tasks, what ${granted} ended leases had been granted, ${locks} locks, ${approvals} approvals; ` +
  `${ended} leases are being ended. Every broker adds what these folders lack of its own, then issues again`
