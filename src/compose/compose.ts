// The only place that constructs the parts of a running program: configuration → wired broker and worker.
import type { AuditLog } from '../audit/audit-log.js'
import { RefusalCounter } from '../audit/refusals.js'
import { type Interceptor, interceptEffects, noInterceptor } from '../broker/interceptor.js'
import { createAuditMirror } from '../broker/mirror-audit.js'
import type { Parts } from '../broker/parts.js'
import type { LoadedConfig } from '../config/load.js'
import type { Settings } from '../config/schema.js'
import { createSetClock, systemClock } from '../core/clock.js'
import type { Condition } from '../http/health.js'
import { writeAnswer } from '../http/problem.js'
import { createProxyRules, type ProxyRules } from '../identity/certificate-config.js'
import { createDpopRules } from '../identity/dpop-config.js'
import type { DpopRules } from '../identity/dpop-proof.js'
import type { IssuerPool } from '../identity/issuer-pool.js'
import { tellingTime } from '../ledger/ledger-time.js'
import { createSealing } from '../ledger/sealing.js'
import { parsePolicySetApart } from '../policy/parse-apart.js'
import { createBreakers } from '../providers/breaker.js'
import { createCheckpointSigner } from '../signing/checkpoint-tokens.js'
import { openFileKeyset } from '../signing/file-keyset.js'
import type { Keyset } from '../signing/keyset.js'
import { createLogger, type Logger } from '../telemetry/logger.js'
import { beginCounters, breakerStates, createMetrics, type Metrics } from '../telemetry/metrics.js'
import { conditionOf } from './condition.js'
import { startContinuity } from './continuity.js'
import { countIssuerEvents } from './issuer-metrics.js'
import { Opened } from './opened.js'
import { onDisk, openOwnChain, type Program } from './own-chain.js'
import { openProviders } from './providers.js'
import { composeRules, type RuleSet } from './rules.js'
import { RulesInForce } from './rules-in-force.js'
import { openState, type State } from './state.js'
import { announceTo } from './webhook.js'

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
  noteRefusedCaller(reason: string, account?: string): void
  connectPatient: State['connectPatient']
  reload(): Promise<void>
  /** Ends everything that was opened here, the audit last. */
  close(): Promise<void>
}

/**
 * Opens keys, audit, ledger and queue, in this order. What cannot be opened stops start-up with a readable error, and what
 * was opened before it is closed again. `interceptor` is for harnesses, which are programs of their own.
 */
export async function compose(
  loaded: LoadedConfig,
  program: Program,
  logLevel: string,
  interceptor: Interceptor = noInterceptor,
): Promise<Composed> {
  const opened = new Opened()
  try {
    const log = createLogger(program, logLevel)
    return await composeOn({ opened, loaded, program, log, metrics: createMetrics() }, interceptor)
  } catch (error) {
    await opened.close()
    throw error
  }
}

/** What each step of the wiring works with. */
interface Wiring {
  readonly opened: Opened
  readonly loaded: LoadedConfig
  readonly program: Program
  readonly log: Logger
  readonly metrics: Metrics
}

async function composeOn(wiring: Wiring, interceptor: Interceptor): Promise<Composed> {
  const { opened, loaded, program, log } = wiring
  const { settings } = loaded
  const inForce = await loadRules(wiring)
  const keyset = opened.add(await openFileKeyset({ directory: settings.keys.directory }), (one) => one.close())
  const audit = await openAudit(wiring, keyset)
  const refusals = opened.add(new RefusalCounter({ audit, clock: systemClock }), (one) => one.close())
  const state = await openState(opened, { settings, program, audit, log })
  const mirror = opened.add(createAuditMirror(state.ledger, log), (one) => one.close())
  audit.onFlushed = mirror.note
  const parts = interceptEffects(await createParts(wiring, { inForce, keyset, audit, state }), interceptor)
  const memoryMs = inForce.current.rules.limits.account.memory * 1000
  opened.add(await startContinuity({ ...state, redis: state.commands, audit, log, memoryMs, program }), (one) =>
    one.stop(),
  )
  await recordStart(wiring, inForce, audit, state.continuity.incarnation)
  const watch = opened.add(inForce.watch(loaded, parts, audit.directory), (one) => one.stop())
  return {
    parts,
    program,
    settings,
    condition: conditionOf(settings, parts, audit, inForce),
    answers: interceptor('answers', { write: writeAnswer }),
    issuers: () => inForce.current.issuers,
    clientFacts: () => inForce.current.clientFacts,
    dpop: createDpopRules(settings.dpop, { issuer: settings.issuer, sealing: settings.keys.sealing }, systemClock),
    proxy: settings.proxy === undefined ? null : createProxyRules(settings.proxy),
    noteRefusedCaller: (reason, account) => refusals.note(reason, account),
    connectPatient: state.connectPatient,
    reload: watch.reload,
    close: () => opened.close(),
  }
}

async function loadRules({ opened, loaded, log, metrics }: Wiring): Promise<RulesInForce> {
  const { settings, file } = loaded
  const options = { log, events: countIssuerEvents(metrics), parseCandidate: parsePolicySetApart }
  const first = await composeRules(settings, file, systemClock, options)
  return opened.add(new RulesInForce(first), (one) => one.close())
}

async function openAudit({ opened, loaded, program }: Wiring, keyset: Keyset): Promise<AuditLog> {
  const { audit, issuer } = loaded.settings
  const { directory, instance } = audit
  const signCheckpoint = createCheckpointSigner(keyset, issuer)
  const chain = await openOwnChain({ directory, instance, program, clock: systemClock, signCheckpoint })
  return opened.add(chain, (one) => one.close())
}

interface OpenedParts {
  readonly inForce: RulesInForce
  readonly keyset: Keyset
  readonly audit: AuditLog
  readonly state: State
}

async function createParts(wiring: Wiring, { inForce, keyset, audit, state }: OpenedParts): Promise<Parts> {
  const { opened, loaded, log, metrics } = wiring
  const { settings } = loaded
  const { issuer } = settings
  const clock = systemClock
  // A worker whose clock is ahead would take a credential for dead that still lives.
  const ledgerClock = createSetClock(clock)
  const providers = await openProviders(opened, { settings, clock: ledgerClock, keyset, state, log })
  beginCounters(metrics, { providers: providers.keys(), issuers: Object.keys(settings.issuers) })
  return {
    issuer,
    rules: () => inForce.current.rules,
    providers,
    ledger: tellingTime(state.ledger, ledgerClock.setTo),
    sealing: createSealing(settings.keys.sealing, issuer),
    audit,
    auditDirectory: settings.audit.directory,
    queue: state.queue,
    keyset,
    clock,
    log,
    metrics,
    breakers: createBreakers(clock, (provider, direction, breaker) =>
      metrics.breakerState.set({ provider, direction }, breakerStates[breaker]),
    ),
    ...announceTo(settings, { ledger: state.ledger, issuer, clock, log, metrics }),
  }
}

/** The policies are kept and the start is on disk before anything is decided; the end is written when all else is closed. */
async function recordStart(
  { opened, loaded, program, log }: Wiring,
  inForce: RulesInForce,
  audit: AuditLog,
  ledger: string,
): Promise<void> {
  const { rules } = inForce.current
  await onDisk(program, log, inForce.current.keepPolicies(audit.directory))
  const { issuer } = loaded.settings
  const started = { program, ledger, issuer, policy_set: rules.policy.hash, rules: rules.hash }
  await onDisk(program, log, audit.append({ event: 'broker.started', ...started }))
  opened.add(audit, (one) => one.append({ event: 'broker.stopped', program }))
}
