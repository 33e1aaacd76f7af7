// The only file that constructs the parts of a running program: configuration → wired broker and worker.
import type { AuditLog } from './audit/audit-log.js'
import { RefusalCounter } from './audit/refusals.js'
import { createAuditMirror } from './broker/mirror-audit.js'
import type { Parts } from './broker/parts.js'
import { asIs, type Surround, surroundEffects } from './broker/surround.js'
import { onDisk, openOwnChain } from './compose-audit.js'
import { RulesInForce } from './compose-changes.js'
import { checkRedis, startContinuity, watchLedger } from './compose-continuity.js'
import { countIssuerEvents, observeIssuers } from './compose-issuers.js'
import { addUnconfigured, createProviders } from './compose-providers.js'
import { composeRules, type RuleSet } from './compose-rules.js'
import { announceTo, webhookCondition } from './compose-webhook.js'
import type { LoadedConfig } from './config/load.js'
import type { Settings } from './config/schema.js'
import { createSetClock, systemClock } from './core/clock.js'
import type { Condition } from './http/health.js'
import { writeAnswer } from './http/problem.js'
import { createProxyRules, type ProxyRules } from './identity/certificate-config.js'
import { createDpopRules } from './identity/dpop-config.js'
import type { DpopRules } from './identity/dpop-proof.js'
import type { IssuerPool } from './identity/issuer-pool.js'
import { connectFailFast, connectPatient, untilReady } from './ledger/connection.js'
import { tellingTime } from './ledger/ledger-time.js'
import { redisSettings } from './ledger/redis-config.js'
import { openRedisLedger } from './ledger/redis-ledger.js'
import { createReplicaAcks } from './ledger/replica-acks.js'
import { createRoleLock } from './ledger/role-lock.js'
import { createSealing } from './ledger/sealing.js'
import { ledgerUnavailable } from './ledger/unavailable.js'
import { parsePolicySetApart } from './policy/parse-apart.js'
import { type Breakers, createBreakers } from './providers/breaker.js'
import { createRevocationQueue } from './queue/revocation-queue.js'
import { createCheckpointSigner } from './signing/checkpoint-tokens.js'
import { openFileKeyset } from './signing/file-keyset.js'
import { createLogger, type Logger } from './telemetry/logger.js'
import { beginCounters, breakerStates, createMetrics } from './telemetry/metrics.js'

/** `local`: a command on a broker's host. */
export type Program = 'serve' | 'worker' | 'dev' | 'local'

export interface Composed {
  readonly parts: Parts
  readonly program: Program
  readonly settings: Settings
  readonly condition: Condition
  readonly answers: { readonly write: typeof writeAnswer }
  issuers(): IssuerPool
  clientFacts(): RuleSet['clientFacts']
  readonly dpop: DpopRules
  readonly proxy: ProxyRules | null
  noteRefusedCaller(reason: string): void
  connectPatient(): ReturnType<typeof connectPatient>
  reload(): Promise<void>
  /** Ends everything that was opened here, the audit last. */
  close(): Promise<void>
}

/**
 * Opens keys, audit, ledger and queue, in this order. What cannot be opened stops start-up with a readable error, and what
 * was opened before it is closed again. `surround` is for harnesses, which are programs of their own.
 */
export async function compose(
  loaded: LoadedConfig,
  program: Program,
  logLevel: string,
  surround: Surround = asIs,
): Promise<Composed> {
  const opened = new Opened()
  try {
    return await composeOn(opened, loaded, program, logLevel, surround)
  } catch (error) {
    await opened.close()
    throw error
  }
}

async function composeOn(
  opened: Opened,
  loaded: LoadedConfig,
  program: Program,
  logLevel: string,
  surround: Surround,
): Promise<Composed> {
  const { settings, file } = loaded
  const clock = systemClock
  const log = createLogger(program, logLevel)
  const metrics = createMetrics()
  const events = countIssuerEvents(metrics)
  const inForce = opened.add(
    new RulesInForce(await composeRules(settings, file, clock, log, events, parsePolicySetApart)),
    (one) => one.close(),
  )
  const keyset = opened.add(await openFileKeyset({ directory: settings.keys.directory }), (one) => one.close())
  const signCheckpoint = createCheckpointSigner(keyset, settings.issuer)
  const { directory, instance } = settings.audit
  const audit = opened.add(await openOwnChain({ directory, instance, program, clock, signCheckpoint }), (one) =>
    one.close(),
  )
  const refusals = opened.add(new RefusalCounter({ audit, clock }), (one) => one.close())
  const state = await openState(opened, settings, log, audit, program)
  const mirror = opened.add(createAuditMirror(state.ledger, log), (one) => one.close())
  audit.onFlushed = mirror.note
  const lockRole = createRoleLock(state.commands, state.prefix, longestRoleWorkMs(settings), clock.monotonic)
  const isActive = state.ledger.isLive
  // A worker whose clock is ahead would take a credential for dead that still lives.
  const ledgerClock = createSetClock(clock)
  const providers = await createProviders({ settings, clock: ledgerClock, keyset, isActive, lockRole })
  await addUnconfigured(providers, state, log)
  for (const provider of providers.values()) opened.add(provider, (one) => one.close())
  beginCounters(metrics, { providers: providers.keys(), issuers: Object.keys(settings.issuers) })
  const breakers = createBreakers(clock, (provider, direction, state) =>
    metrics.breakerState.set({ provider, direction }, breakerStates[state]),
  )
  const plain: Parts = {
    issuer: settings.issuer,
    rules: () => inForce.current.rules,
    providers,
    ledger: tellingTime(state.ledger, ledgerClock.setTo),
    sealing: createSealing(settings.keys.sealing, settings.issuer),
    audit,
    auditDirectory: directory,
    queue: state.queue,
    keyset,
    clock,
    log,
    metrics,
    breakers,
    ...announceTo(settings, { ledger: state.ledger, issuer: settings.issuer, clock, log, metrics }),
  }
  const parts = surroundEffects(plain, surround)
  const memoryMs = inForce.current.rules.limits.account.memory * 1000
  opened.add(await startContinuity({ ...state, redis: state.commands, audit, log, memoryMs }), (one) => one.stop())
  await onDisk(program, log, inForce.current.keepPolicies(audit.directory))
  const started = {
    event: 'broker.started',
    program,
    ledger: state.continuity.incarnation,
    issuer: settings.issuer,
    policy_set: inForce.current.rules.policy.hash,
    rules: inForce.current.rules.hash,
  } as const
  await onDisk(program, log, audit.append(started))
  opened.add(audit, (one) => one.append({ event: 'broker.stopped', program }))
  const watch = opened.add(inForce.watch(loaded, parts, audit.directory), (one) => one.stop())
  return {
    parts,
    program,
    settings,
    condition: {
      ...conditionOf(audit, () => inForce.current.issuers, breakers),
      ...webhookCondition(settings, parts),
      rules: () => inForce.refused,
      observe: () => observeIssuers(metrics, inForce.current.issuers.issuers, clock),
    },
    answers: surround('answers', { write: writeAnswer }),
    issuers: () => inForce.current.issuers,
    clientFacts: () => inForce.current.clientFacts,
    dpop: createDpopRules(settings.dpop, { issuer: settings.issuer, sealing: settings.keys.sealing }, clock),
    proxy: settings.proxy === undefined ? null : createProxyRules(settings.proxy),
    noteRefusedCaller: (reason) => refusals.note(reason),
    connectPatient: state.connectPatient,
    reload: watch.reload,
    close: () => opened.close(),
  }
}

/** What must be closed again, the last opened first. */
class Opened {
  readonly #closers: (() => unknown)[] = []

  add<T>(thing: T, close: (thing: T) => unknown): T {
    this.#closers.push(() => close(thing))
    return thing
  }

  /** Closes everything, whatever of it fails. */
  async close(): Promise<void> {
    for (let close = this.#closers.pop(); close; close = this.#closers.pop()) {
      try {
        await close()
      } catch {
        // Ending: there is nobody left to tell, and the rest is to be closed all the same.
      }
    }
  }
}

/** The ledger and the queue, on connections of their own. */
async function openState(opened: Opened, settings: Settings, log: Logger, audit: AuditLog, program: Program) {
  const redis = redisSettings(settings.redis)
  const { prefix } = redis
  const trouble = reportOnce(log)
  const patient = () => opened.add(connectPatient(redis, trouble), (one) => one.disconnect())
  const failFast = () => opened.add(connectFailFast(redis, trouble), (one) => one.disconnect())
  const commands = failFast()
  if (!(await untilReady(commands, 5000))) throw ledgerUnavailable()
  await checkRedis(commands, prefix, log, { refuses: program !== 'local' })
  const continuity = await watchLedger(commands, prefix, audit, (note) => onDisk(program, log, note))
  const { server } = continuity
  const suspectLoss = (reason: string) => continuity.suspectLoss(reason)
  const acks = createReplicaAcks({ connect: failFast, prefix, server, suspectLoss })
  const parts = { redis: commands, subscriber: patient(), prefix, continuity, acks }
  const ledger = opened.add(await openRedisLedger(parts), (one) => one.close())
  const jobs = failFast()
  await untilReady(jobs, 5000)
  const queue = opened.add(createRevocationQueue(jobs, prefix, trouble), (one) => one.close())
  return { commands, continuity, ledger, queue, prefix, connectPatient: patient }
}

/** Reading, writing and reading back an AWS role's policy: three calls, and a margin. */
function longestRoleWorkMs(settings: Settings): number {
  const timeouts = Object.values(settings.providers).map((provider) => provider.timeout)
  return 3 * Math.max(5, ...timeouts) * 1000 + 5000
}

function conditionOf(
  audit: { status(): { healthy: boolean; failure: string | null } },
  issuers: () => IssuerPool,
  breakers: Breakers,
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
    providers: () => breakers.troubles(),
  }
}

/** Reconnecting says the same each time; once a second is enough of it. */
function reportOnce(log: Logger): (error: Error) => void {
  let last = Number.NEGATIVE_INFINITY
  return (error) => {
    if (systemClock.monotonic() - last < 1000) return
    last = systemClock.monotonic()
    log.warn({ err: error }, 'Redis cannot be reached')
  }
}
