// What may change while a program runs: policies, grants, resources, groups, issuers, limits. Taken whole or not at all.
import { dirname, resolve } from 'node:path'
import type { Rules } from '../broker/parts.js'
import { schemaInputOf } from '../config/cross-checks.js'
import { loadPolicies, policyRulesOf } from '../config/load-policies.js'
import type { Settings } from '../config/schema.js'
import type { Clock } from '../core/clock.js'
import { createCatalogue } from '../grants/catalogue.js'
import { type IssuerEvents, unwatched } from '../identity/issuer-monitor.js'
import { createIssuerPool, type IssuerPool } from '../identity/issuer-pool.js'
import { clientFacts, createIssuers } from '../identity/issuers.js'
import { createRequirements } from '../identity/requirements.js'
import { createPolicyEngine } from '../policy/engine.js'
import { createGroups } from '../policy/groups.js'
import { keepPolicySet } from '../policy/kept-sets.js'
import type { parsePolicySetApart } from '../policy/parse-apart.js'
import { besideRequests, parsePolicySet } from '../policy/policy-set.js'
import type { Logger } from '../telemetry/logger.js'
import { hashRules } from './rules-hash.js'

export interface RuleSet {
  readonly rules: Rules
  readonly issuers: IssuerPool
  /** Told to anybody at /.well-known/hallpass. */
  readonly clientFacts: ReturnType<typeof clientFacts>
  /** The policies' texts as they were read, by path. */
  readonly policyFiles: Readonly<Record<string, string>>
  /** Keeps the policy set beside the audit, where whoever makes a decision again finds it. Throws the file system's error. */
  keepPolicies(chain: string): Promise<void>
}

/** A set that an operator sends; programs that serve have it done on another thread. */
type CandidateParser = typeof parsePolicySetApart

const inTurns: CandidateParser = (files, rules) => parsePolicySet(files, rules, besideRequests)

interface RuleOptions {
  /** Told of trust bundles that were not taken. */
  readonly log?: Logger
  readonly events?: IssuerEvents
  readonly parseCandidate?: CandidateParser
}

/** `file`: where the settings were read from. Throws ConfigError or PolicySetError, each naming file and line. */
export async function composeRules(
  settings: Settings,
  file: string,
  clock: Clock,
  { log, events = unwatched, parseCandidate = inTurns }: RuleOptions = {},
): Promise<RuleSet> {
  const groups = createGroups(settings.groups)
  const policySet = await loadPolicies(settings)
  const policy = createPolicyEngine({ policySet, grants: settings.grants, groups })
  const catalogue = createCatalogue(settings.grants, settings.resources)
  const issuers = createIssuers(settings.issuers, {
    clock,
    ourIssuer: settings.issuer,
    directory: dirname(resolve(file)),
    events,
    report: (issuer, problem) => log?.warn({ issuer, problem }, 'a trust bundle was not taken'),
  })
  const requiring = new Set(
    Object.entries(settings.issuers).flatMap(([name, one]) => (one.task_token === 'required' ? [name] : [])),
  )
  return {
    rules: {
      hash: hashRules(settings, policySet.hash),
      catalogue,
      policy,
      limits: settings.limits,
      requirements: createRequirements(settings.issuers),
      change: changeLimitsOf(settings),
      earlier: [],
      taskTokenRequired: (issuer) => requiring.has(issuer),
      issuerTypes: schemaInputOf(settings).issuers,
      async tryPolicies(files) {
        const candidate = await parseCandidate(files, policyRulesOf(settings))
        return createPolicyEngine({ policySet: candidate, grants: {}, groups })
      },
      isWorkloadIssuer: (name) => Object.hasOwn(settings.issuers, name) && settings.issuers[name]?.use === 'workload',
    },
    issuers: createIssuerPool(issuers, { ourIssuer: settings.issuer, events }),
    clientFacts: clientFacts(settings.issuers, settings.issuer),
    policyFiles: policySet.files,
    keepPolicies: (chain) => keepPolicySet(chain, policySet),
  }
}

const changeLimitsOf = ({ policy_change: change }: Settings) => ({
  brakeLeases: change.brake_leases,
  brakePercent: change.brake_percent,
  endsPerSecond: change.ends_per_second,
})

/** The set that comes into force after another, which is kept: what both refuse is no consequence of the change. */
export function following(fresh: RuleSet, { rules: last }: RuleSet): RuleSet {
  const kept = last.hash === fresh.rules.hash ? last.earlier : [{ ...last, earlier: [] }, ...last.earlier].slice(0, 3)
  return { ...fresh, rules: { ...fresh.rules, earlier: kept } }
}
