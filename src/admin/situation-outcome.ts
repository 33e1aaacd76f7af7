// What becomes of a situation, by the engine that decides for a broker.
import { isOutside, joinHops } from '../broker/hops.js'
import type { Settings } from '../config/schema.js'
import type { Verdict } from '../policy/decision.js'
import { createPolicyEngine, type PolicyEngine } from '../policy/engine.js'
import { createGroups, type Groups } from '../policy/groups.js'
import type { PolicySet } from '../policy/policy-set.js'
import type { Situation } from './situation.js'

export interface Outcome {
  readonly effect: 'permit' | 'deny' | 'approval_required' | 'refused'
  /** The determining policies, sorted. */
  readonly policies: readonly string[]
  readonly offer: string | null
  readonly ttlSeconds: number | null
  /** `group:count` each. */
  readonly approvals: readonly string[]
  readonly reason: string | null
  readonly code: string | null
  /** What the caller would be told of a request that is not well formed. */
  readonly detail: string | null
}

export interface SituationEngine {
  readonly engine: PolicyEngine
  outcomeOf(situation: Situation): Outcome
}

/** One engine for many situations; the groups that a situation names count in place of the configuration's. */
export function createSituationEngine(settings: Settings, policySet: PolicySet): SituationEngine {
  const configured = createGroups(settings.groups)
  const named = new WeakMap<object, readonly string[]>()
  const groups: Groups = {
    names: configured.names,
    groupsOf: (principal) => [...(named.get(principal) ?? configured.groupsOf(principal))],
  }
  const engine = createPolicyEngine({ policySet, grants: settings.grants, groups })
  return {
    engine,
    outcomeOf(situation) {
      const above = situation.kind === 'grant' ? (situation.chain?.above ?? []) : []
      for (const one of [situation, ...above]) named.set(one.principal, one.groups)
      return outcomeOf(engine, situation)
    },
  }
}

const nothing = { policies: [], offer: null, ttlSeconds: null, approvals: [], reason: null, code: null, detail: null }

function outcomeOf(engine: PolicyEngine, situation: Situation): Outcome {
  if (situation.kind === 'refused') {
    const { code, detail } = situation.error
    return { ...nothing, effect: 'refused', code, detail }
  }
  if (situation.kind === 'grant') return outcomeOfVerdict(verdictOf(engine, situation))
  const { principal, action, target, about } = situation
  const { permit, policies, error } = engine.permitsOperator(principal, action, target, about)
  if (permit) return { ...nothing, effect: 'permit', policies }
  const reason = error ? 'policy_error' : policies.length > 0 ? 'forbidden' : 'no_permit'
  return { ...nothing, effect: 'deny', policies, reason, code: 'denied' }
}

/** As a broker decides: for the caller and for everybody above it, under every ceiling (I7). */
function verdictOf(
  engine: PolicyEngine,
  { input, bounds, standing, chain }: Extract<Situation, { kind: 'grant' }>,
): Verdict {
  const own = engine.decideAs(standing ?? engine.standingOf(input), input, bounds)
  if (chain === undefined) return own
  const above = chain.above.map((hop) => ({ verdict: engine.decide(hop.input, hop.bounds) }))
  return joinHops(own, above, isOutside(chain.ceilings, input.action, input.resource.id)).verdict
}

export function outcomeOfVerdict(verdict: Verdict): Outcome {
  const { effect, policies } = verdict
  const base = { ...nothing, effect, policies: [...policies].sort() }
  if (verdict.effect === 'deny') {
    return { ...base, code: verdict.code, reason: verdict.code === 'denied' ? verdict.reason : null }
  }
  const taken = { ...base, offer: verdict.offer.policy, ttlSeconds: verdict.ttlSeconds }
  if (verdict.effect === 'permit') return taken
  const approvals = verdict.approvals.map(({ group, count }) => `${group}:${count}`).sort()
  return { ...taken, approvals, code: 'approval_required' }
}
