// The only file that constructs the parts of a running program: configuration → wired broker and worker.
import { openAuditLog } from './audit/audit-log.js'
import { RefusalCounter } from './audit/refusals.js'
import type { Parts, Rules } from './broker/parts.js'
import { createProviders } from './compose-providers.js'
import { composeRules, type RulesWatch, watchRules } from './compose-rules.js'
import type { LoadedConfig } from './config/load.js'
import type { Settings } from './config/schema.js'
import { systemClock } from './core/clock.js'
import type { Condition } from './http/health.js'
import type { IssuerPool } from './identity/issuer-pool.js'
import { connectFailFast, connectPatient, untilReady } from './ledger/connection.js'
import { redisSettings } from './ledger/redis-config.js'
import { openRedisLedger } from './ledger/redis-ledger.js'
import { createRoleLock } from './ledger/role-lock.js'
import { createSealing } from './ledger/sealing.js'
import { createRevocationQueue } from './queue/revocation-queue.js'
import { createCheckpointSigner } from './signing/checkpoint-tokens.js'
import { openFileKeyset } from './signing/file-keyset.js'
import { createLogger, describeError } from './telemetry/logger.js'
import { createMetrics } from './telemetry/metrics.js'

export type Program = 'serve' | 'worker' | 'dev'

export interface Composed {
  readonly parts: Parts
  readonly settings: Settings
  readonly condition: Condition
  issuers(): IssuerPool
  noteRefusedCaller(reason: string): void
  connectPatient(): ReturnType<typeof connectPatient>
  reload(): Promise<void>
  /** Ends everything that was opened here, the audit last. */
  close(): Promise<void>
}

/** Opens keys, audit, ledger and queue, in this order; what cannot be opened stops start-up with a readable error. */
export async function compose(loaded: LoadedConfig, program: Program, logLevel: string): Promise<Composed> {
  const { settings, file } = loaded
  const clock = systemClock
  const log = createLogger(program, logLevel)
  const metrics = createMetrics()
  let current = await composeRules(settings, file, clock)
  const keyset = await openFileKeyset({ directory: settings.keys.directory })
  const signCheckpoint = createCheckpointSigner(keyset, settings.issuer)
  const { directory, instance } = settings.audit
  const audit = await openAuditLog({ directory, instance, program, clock, signCheckpoint })
  const refusals = new RefusalCounter({ audit, clock })
  const redis = redisSettings(settings.redis)
  const trouble = reportOnce(log)
  const commands = connectFailFast(redis, trouble)
  const patient = () => connectPatient(redis, trouble)
  const ledger = await openRedisLedger({ redis: commands, subscriber: patient(), prefix: redis.prefix })
  const jobs = connectFailFast(redis, trouble)
  await untilReady(jobs, 5000)
  const queue = createRevocationQueue(jobs, redis.prefix, trouble)
  const lockRole = createRoleLock(commands, redis.prefix, longestRoleWorkMs(settings), clock.monotonic)
  const providers = await createProviders({ settings, clock, keyset, isActive: ledger.isLive, lockRole })
  const sealing = createSealing(settings.keys.sealing, settings.issuer)
  const troubles = new Map<string, string>()
  const rules = (): Rules => current.rules
  const parts: Parts = {
    issuer: settings.issuer,
    rules,
    providers,
    ledger,
    sealing,
    audit,
    queue,
    keyset,
    clock,
    log,
    metrics,
    troubles,
  }
  await audit.append({
    event: 'broker.started',
    program,
    issuer: settings.issuer,
    policy_set: current.rules.policy.hash,
  })

  const watch: RulesWatch = watchRules(file, settings.policies, {
    async take(next) {
      const fresh = await composeRules(next, file, clock)
      current = fresh
      log.info({ policy_set: fresh.rules.policy.hash }, 'policies, catalogue and issuers were loaded anew')
      await audit.append({ event: 'rules.loaded', policy_set: fresh.rules.policy.hash })
    },
    async refused(error) {
      log.error({ err: error }, 'the changed configuration was refused; the last good one stays in force')
      await audit.append({ event: 'rules.refused', detail: describeError(error).message.slice(0, 2000) })
    },
  })

  return {
    parts,
    settings,
    condition: conditionOf(audit, () => current.issuers, troubles),
    issuers: () => current.issuers,
    noteRefusedCaller: (reason) => refusals.note(reason),
    connectPatient: patient,
    reload: watch.reload,
    async close() {
      watch.stop()
      await refusals.close()
      await queue.close()
      jobs.disconnect()
      await ledger.close()
      await Promise.all([...providers.values()].map((provider) => provider.close()))
      await audit.append({ event: 'broker.stopped', program }).catch(() => undefined)
      await audit.close()
      keyset.close()
    },
  }
}

/** Reading, writing and reading back an AWS role's policy: three calls, and a margin. */
function longestRoleWorkMs(settings: Settings): number {
  const timeouts = Object.values(settings.providers).map((provider) => provider.timeout)
  return 3 * Math.max(5, ...timeouts) * 1000 + 5000
}

function conditionOf(
  audit: { status(): { healthy: boolean; failure: string | null } },
  issuers: () => IssuerPool,
  troubles: ReadonlyMap<string, string>,
): Condition {
  return {
    audit: () => {
      const { healthy, failure } = audit.status()
      return healthy ? null : (failure ?? 'the audit takes no records')
    },
    issuers: () =>
      Object.fromEntries(
        issuers().issuers.flatMap((one) =>
          one.status().lastError === null ? [] : [[one.name, one.status().lastError ?? '']],
        ),
      ),
    providers: () => Object.fromEntries(troubles),
  }
}

/** Reconnecting says the same each time; once a second is enough of it. */
function reportOnce(log: ReturnType<typeof createLogger>): (error: Error) => void {
  let last = Number.NEGATIVE_INFINITY
  return (error) => {
    if (systemClock.monotonic() - last < 1000) return
    last = systemClock.monotonic()
    log.warn({ err: { message: error.message } }, 'Redis cannot be reached')
  }
}
